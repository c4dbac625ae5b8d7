// Clips and samples of a run of the temporal module: where their numbers come from, their classes' scores, and what
// becomes of a sample of a model that escalates.
#pragma once

#include "classifier.h"
#include "lanes.h"
#include "launch.h"

namespace adasgn::cuda {

// Of a model that escalates a level has the clips of a list. Where they lie in scratch memory follows the list; where
// their features lie, and a sample's results, does not.

ADASGN_DEVICE bool has_list(const TemporalParameters& p) {
    return p.escalation.listed.frames != nullptr;
}

// After wait_for_previous_kernel(), if there is a list.
ADASGN_DEVICE int clip_count(const TemporalParameters& p) {
    return has_list(p) ? *p.escalation.listed.count / p.clip_frames : p.clips;
}

// The number of the run's i-th clip.
ADASGN_DEVICE int clip_number(const TemporalParameters& p, int i) {
    return has_list(p) ? p.escalation.listed.frames[static_cast<size_t>(i) * p.clip_frames] / p.clip_frames : i;
}

ADASGN_DEVICE int sample_number(const TemporalParameters& p, int i) {
    return clip_number(p, i * p.persons) / p.persons;
}

// After wait_for_previous_kernel(): the kernels before were the last to read the lists.
ADASGN_DEVICE void clear_counts(const TemporalParameters& p) {
    if (p.clear != nullptr && block_index() == 0 && block_index_y() == 0 && thread_index() < kMaxBranches) {
        p.clear[thread_index()] = 0;
    }
}

ADASGN_DEVICE float threshold_of(const Escalation& e) {
    return e.threshold_at == nullptr ? e.threshold : load_global(e.threshold_at);
}

// A sample's scores at this level are there: its results, and whether it goes on. A warp's work.
ADASGN_DEVICE void settle(const TemporalParameters& p, int sample, float threshold) {
    constexpr float kInfinity = __builtin_huge_valf();
    constexpr float kSmallest = 1.17549435e-38F;  // so that a probability of 0 has a finite logarithm
    const Escalation& e = p.escalation;
    const size_t at = static_cast<size_t>(sample) * p.classes;
    const float* const scores = p.logits + at;
    float most = -kInfinity;
    for (int k = lane(); k < p.classes; k += 32) {
        most = maximum(most, scores[k]);
    }
    most = maximum_over_lanes(most);
    float sum = 0;
    for (int k = lane(); k < p.classes; k += 32) {
        sum += exponential(scores[k] - most);
    }
    sum = sum_over_lanes(sum);
    float surest = 0;
    for (int k = lane(); k < p.classes; k += 32) {
        float mean = exponential(scores[k] - most) / sum;
        if (e.level > 0) {
            mean = (e.probabilities[at + k] * static_cast<float>(e.level) + mean) / static_cast<float>(e.level + 1);
        }
        e.probabilities[at + k] = mean;
        e.result[at + k] = logarithm(maximum(mean, kSmallest));  // of the last level that writes them
        surest = maximum(surest, mean);
    }
    surest = maximum_over_lanes(surest);
    const int frames = p.persons * p.clip_frames;
    const int first = sample * frames;
    if (e.next_frames != nullptr && surest < threshold) {
        int place = lane() == 0 ? atomic_add(e.next_count, frames) : 0;
#pragma unroll
        for (int mask = 16; mask > 0; mask /= 2) {
            place += shuffle_xor(place, mask);  // zero but for one lane
        }
        for (int i = lane(); i < frames; i += 32) {
            e.next_frames[place + i] = first + i;
        }
    } else if (e.actions != nullptr) {
        for (int i = lane(); i < frames; i += 32) {
            e.actions[first + i] = e.level;
        }
    }
}

// The 512 values before the classifier, summed over the persons of the sample at a place of the run.
template <class Load>
ADASGN_DEVICE Lanes512 pooled_values(const TemporalParameters& p, int place, const Load& load) {
    const float* const first = p.pooled + static_cast<size_t>(place) * p.persons * kTemporal;
    Lanes512 values(first, load);
    for (int person = 1; person < p.persons; ++person) {
        values.add(Lanes512(first + person * kTemporal, load));
    }
    return values;
}

// What a class's score is made with, on its way once there is one of these.
struct ClassWeights {
    Lanes512 weights;
    float bias;

    ADASGN_DEVICE ClassWeights(const TemporalParameters& p, int label)
        : weights(class_weights(p.weights.classify, label)), bias(load_global(p.weights.classify_bias + label)) {}
};

// The score of a class, a warp's work; is written if it is kept.
ADASGN_DEVICE void classify(const TemporalParameters& p, int sample, int label, const Lanes512& values,
                            const ClassWeights& of_class, bool kept = true) {
    const float sum = values.dot(of_class.weights);
    if (kept && lane() == 0) {
        const float score = sum / static_cast<float>(p.persons) + of_class.bias;
        float* const to = p.logits + static_cast<size_t>(sample) * p.classes + label;
        *to = p.add ? *to + p.scale * score : p.scale * score;
    }
}

}  // namespace adasgn::cuda
