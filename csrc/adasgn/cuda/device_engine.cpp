#include "adasgn/cuda/device_engine.h"

#include <algorithm>
#include <string>

#include "adasgn/bounds.h"
#include "adasgn/checks.h"

namespace adasgn::cuda {

namespace {

DeviceTraits checked_device(int device) {
    const int count = device_count();
    if (count == 0) {
        throw Error(ErrorKind::engine, "device: expected a GPU, found none that the driver shows, or no driver");
    }
    if (device < 0 || device >= count) {
        throw Error(ErrorKind::engine, "device: expected a GPU below " + std::to_string(count) +
                                           " (how many this machine has), found " + std::to_string(device));
    }
    DeviceTraits traits;
    expect_ok(device_traits(device, traits), "the device's properties");
    if (traits.architecture < 80) {
        throw Error(ErrorKind::engine, "device: expected compute capability 8.0 or higher, found " +
                                           std::to_string(traits.architecture / 10) + "." +
                                           std::to_string(traits.architecture % 10) + " (" + traits.name + ")");
    }
    return traits;
}

EngineOptions checked(const EngineOptions& options) {
    expect_option("max_batch", options.max_batch, 1, kMaxBatch);
    return options;
}

}  // namespace

DeviceEngine::DeviceEngine(const Model& model, const EngineOptions& options, Part part)
    : description_(model.description), options_(checked(options)), traits_(checked_device(options.device)) {
    if (part == Part::all) {
        expect_not_causal(description_, "on a GPU");
    }
    max_feature_ = expect_computable(model);
    const OnDevice device(options_.device);
    const PackedModel packed(model, options_.precision);
    weights_ = DeviceMemory<unsigned char>(packed.bytes().size());
    expect_ok(copy_to_device(weights_.data(), packed.bytes().data(), packed.bytes().size(), nullptr),
              "upload of weights");
    for (int i = 0; i < static_cast<int>(description_.branches.size()); ++i) {
        branches_.push_back(packed.branch(i, weights_.data()));
        workload_.joints.push_back(branches_.back().joints);
        workload_.big.push_back(description_.branches[i].big());
    }
    workload_.clip_frames = description_.frames;
    workload_.adaptive = description_.adaptive;
    workload_.pose = has_pose();
    workload_.may_take_frame_blocks = has_frame_blocks() && !description_.escalates;
    workload_.shares = description_.action_shares;
    policy_ = packed.policy(weights_.data());
    pose_ = packed.pose(weights_.data());
    temporal_ = packed.temporal(weights_.data());
    causal_ = packed.causal(weights_.data());

    const auto frames = static_cast<std::size_t>(max_frames());
    const std::size_t element = options_.precision == Precision::f32 ? 4 : 2;
    features_ = DeviceMemory<float>(frames * kFeature);
    if (has_pose()) {
        hidden_ = DeviceMemory<unsigned char>(frames * kPoseHidden * (precision(0) == Precision::f32 ? 4 : 2));
        looked_at_ = DeviceMemory<float>(description_.adaptive ? frames * kFeature : 0);
    }
    if (description_.escalates) {
        const std::size_t scores = static_cast<std::size_t>(options_.max_batch) * description_.classes;
        level_logits_ = DeviceMemory<float>(scores);
        probabilities_ = DeviceMemory<float>(scores);
        level_counts_ = DeviceMemory<int>(kMaxBranches);
    }
    across_ = DeviceMemory<unsigned char>(frames * kFeature * element);
    pooled_ = DeviceMemory<float>(static_cast<std::size_t>(options_.max_batch) * kTemporal);
    done_ = DeviceMemory<int>(static_cast<std::size_t>(options_.max_batch));
    counts_ = DeviceMemory<int>(kMaxBranches);
    lists_ = DeviceMemory<int>(frames * branches_.size());
    fault_ = DeviceMemory<int>(2);
    if (has_whole_clips()) {
        expect_ok(cuda::clip_blocks_at_once(workload_.clip_blocks_at_once), "how many blocks run at once");
        const std::size_t flags = static_cast<std::size_t>(options_.max_batch) * kClipFlags;
        clip_flags_ = DeviceMemory<int>(flags);
        expect_ok(zero(clip_flags_.data(), flags * sizeof(int), nullptr), "clearing memory");
    }
    expect_ok(zero(fault_.data(), 2 * sizeof(int), nullptr), "clearing memory");
    expect_ok(zero(counts_.data(), kMaxBranches * sizeof(int), nullptr), "clearing memory");
    expect_ok(zero(done_.data(), options_.max_batch * sizeof(int), nullptr), "clearing memory");
    expect_ok(synchronise(nullptr), "upload of weights");
}

OnDevice DeviceEngine::make_current() const {
    process_.expect_here();
    return OnDevice(options_.device);
}

Schedule DeviceEngine::schedule(int frames) const {
    return forced_ ? *forced_ : choose_schedule(workload_, options_.precision, traits_, frames);
}

Schedule DeviceEngine::level_schedule(int level, int frames) const {
    return forced_ ? *forced_ : choose_level(workload_, level, options_.precision, traits_, frames);
}

void DeviceEngine::force_schedule(const Schedule& schedule) {
    if (schedule.block_per_frame && !has_frame_blocks()) {
        throw Error(ErrorKind::engine,
                    "schedule: expected tiles for a policy that looks at a big branch or at several joints, and for a "
                    "pose branch alone, found a block per frame");
    }
    if (schedule.whole_clips && !(schedule.block_per_frame && has_whole_clips())) {
        throw Error(ErrorKind::engine,
                    "schedule: expected whole clips in f16, by a block per frame, of up to " +
                        std::to_string(kSplitFrames) + " frames, without pose branch and levels, found " +
                        (options_.precision == Precision::f32 ? "f32, " : "f16, ") +
                        (schedule.block_per_frame ? "a block per frame, " : "tiles, ") +
                        std::to_string(description_.frames) + " frames" + (has_pose() ? ", a pose branch" : "") +
                        (description_.escalates ? ", levels" : ""));
    }
    forced_ = schedule;
}

Frames DeviceEngine::frames_of_clips(const float* clips, int count) const {
    Frames frames{};
    frames.coordinates = clips;
    frames.previous = clips - static_cast<std::ptrdiff_t>(description_.joints) * kCoordinates;
    frames.count = count * description_.frames;
    frames.input_joints = description_.joints;
    frames.clip_frames = description_.frames;
    frames.fault = fault_.data();
    return frames;
}

Frames DeviceEngine::single_frames(const float* coordinates, const float* previous, int count) const {
    Frames frames = frames_of_clips(coordinates, 0);
    frames.previous = previous;
    frames.count = count;
    frames.clip_frames = 0;
    return frames;
}

BranchParameters DeviceEngine::branch_parameters(const Frames& frames, float* features) const {
    BranchParameters p{};
    p.frames = frames;
    std::copy(branches_.begin(), branches_.end(), p.branches);
    p.branch_count = static_cast<int>(branches_.size());
    p.features = features;
    return p;
}

void DeviceEngine::run_one_branch(const Frames& frames, int branch, float* features, Stream stream) {
    if (branch == 0 && has_pose()) {
        run_pose(frames, features, stream);
        return;
    }
    if (branch == 0 && has_plain_policy()) {
        run_policy(policy_parameters(frames, features), stream);
        return;
    }
    BranchParameters p = branch_parameters(frames, features);
    p.only = branch;
    expect_ok(run_branches(p, precision(branch), schedule(frames.count).branch_rows, stream), "a branch");
}

void DeviceEngine::run_pose(const Frames& frames, float* features, Stream stream) {
    PoseParameters p{};
    p.frames = frames;
    p.weights = pose_;
    p.hidden = hidden_.data();
    p.features = features;
    TileRows rows = pose_rows(precision(0), traits_, frames.count);
    if (forced_ && precision(0) == Precision::f16) {
        rows = forced_->branch_rows;
    }
    expect_ok(pose(p, precision(0), rows, stream), "the pose branch");
}

void DeviceEngine::run_routed(const Frames& frames, float* features, Stream stream) {
    BranchParameters p = branch_parameters(frames, features);
    p.counts = counts_.data();
    p.lists = lists_.data();
    expect_ok(run_branches(p, options_.precision, schedule(frames.count).branch_rows, stream), "the branches");
}

PolicyParameters DeviceEngine::policy_parameters(const Frames& frames, float* features) const {
    PolicyParameters p{};
    p.frames = frames;
    p.branch = branches_.front();
    p.features = features;
    return p;
}

void DeviceEngine::run_policy(const PolicyParameters& p, Stream stream) {
    expect_ok(policy(p, policy_rows(traits_, p.frames.count), stream), "the policy");
}

template <class Work>
void DeviceEngine::with_lists(Stream stream, const Work& work) {
    try {
        work();
    } catch (...) {
        static_cast<void>(zero(counts_.data(), kMaxBranches * sizeof(int), stream));
        throw;
    }
}

RouteParameters DeviceEngine::route_parameters(int frames, const std::int32_t* given, std::int32_t* actions,
                                               bool lists) const {
    RouteParameters p{};
    p.frames = frames;
    p.clip_frames = description_.frames;
    p.branch_count = static_cast<int>(branches_.size());
    p.policy = policy_;
    p.given = given;
    p.actions = actions;
    p.fault = fault_.data();
    p.skip = routes() ? 0 : -1;  // its features are there
    if (lists) {
        p.counts = counts_.data();
        p.lists = lists_.data();
    }
    return p;
}

void DeviceEngine::route_frames(const RouteParameters& p, Stream stream) {
    expect_ok(route(p, stream), "the router");
}

TemporalParameters DeviceEngine::head_parameters(const float* features, int samples, int persons, float* logits) const {
    expect_not_causal(description_, "for runs of whole clips");
    TemporalParameters p{};
    p.weights = temporal_;
    p.clips = samples * persons;
    p.clip_frames = description_.frames;
    p.stride = description_.stride;
    p.clip_rows = description_.temporal_frames();
    p.persons = persons;
    p.classes = description_.classes;
    p.features = features;
    p.across = across_.data();
    p.pooled = pooled_.data();
    p.done = done_.data();
    p.logits = logits;
    p.scale = 1;
    return p;
}

void DeviceEngine::head(const TemporalParameters& p, Stream stream) {
    const TileRows rows = schedule(p.clips * description_.frames).temporal_rows;
    expect_ok(temporal(p, options_.precision, rows, stream), "the temporal module");
}

void DeviceEngine::run(const float* clips, const std::int32_t* given, int samples, int persons,
                       const DeviceResult& result, Stream stream, const Threshold& threshold) {
    const int count = checked_clips(samples, persons, options_.max_batch);
    const float value = checked_threshold(description_, threshold.value);
    const OnDevice device = make_current();
    const Frames frames = frames_of_clips(clips, count);
    float* const features = result.features != nullptr ? result.features : features_.data();
    if (description_.escalates && given == nullptr) {
        run_levels(frames, samples, persons, result, features, {value, threshold.at}, stream);
        return;
    }
    TemporalParameters last = head_parameters(features, samples, persons, result.logits);
    const Schedule way = schedule(frames.count);
    if (way.block_per_frame && !description_.escalates) {
        FrameParameters p{};
        p.frames = frames;
        std::copy(branches_.begin(), branches_.end(), p.branches);
        p.branch_count = static_cast<int>(branches_.size());
        p.policy = policy_;
        if (has_pose()) {
            run_pose(frames, looked_at_.data(), stream);
            p.policy_features = looked_at_.data();
        }
        p.given = given;
        p.actions = result.actions;
        p.features = features;
        if (way.whole_clips) {
            ClipParameters whole{};
            whole.spatial = p;
            whole.temporal = last;
            whole.flags = clip_flags_.data();
            expect_ok(run_clips(whole, stream), "the clips");
            return;
        }
        expect_ok(run_frames(p, options_.precision, stream), "the frames");
    } else if (routes()) {
        with_lists(stream, [&] {
            run_tiles(frames, given, result.actions, features, stream);
            last.clear = counts_.data();
            head(last, stream);
        });
        return;
    } else {
        run_one_branch(frames, 0, features, stream);
        if (given != nullptr) {
            route_frames(route_parameters(frames.count, given, result.actions, false), stream);  // checks them
        } else if (result.actions != nullptr) {
            expect_ok(zero(result.actions, frames.count * sizeof(std::int32_t), stream), "clearing memory");
        }
    }
    head(last, stream);
}

void DeviceEngine::run_levels(const Frames& frames, int samples, int persons, const DeviceResult& result,
                              float* features, const Threshold& threshold, Stream stream) {
    const int levels = static_cast<int>(branches_.size());
    const auto list = [&](int level) { return lists_.data() + static_cast<std::size_t>(level) * max_frames(); };
    TemporalParameters p = head_parameters(features, samples, persons, level_logits_.data());
    Escalation& e = p.escalation;
    e.probabilities = probabilities_.data();
    e.result = result.logits;
    e.actions = result.actions;
    e.threshold = threshold.value;
    e.threshold_at = threshold.at;
    for (int level = 0; level < levels; ++level) {
        const bool last = level + 1 == levels;
        e.level = level;
        e.listed = level == 0 ? Listed{} : Listed{list(level), level_counts_.data() + level};
        e.next_frames = last ? nullptr : list(level + 1);
        e.next_count = last ? nullptr : level_counts_.data() + level + 1;
        p.clear = level == 0 ? level_counts_.data() : nullptr;
        run_level(frames, level, e.listed, features, stream);
        const TileRows rows = level_schedule(level, frames.count).temporal_rows;
        expect_ok(temporal(p, options_.precision, rows, stream), "the temporal module");
    }
}

void DeviceEngine::run_level(const Frames& frames, int level, const Listed& listed, float* features, Stream stream) {
    if (level == 0 && has_pose()) {
        run_pose(frames, features, stream);
        return;
    }
    const Schedule schedule = level_schedule(level, frames.count);
    if (schedule.block_per_frame) {
        FrameParameters p{};
        p.frames = frames;
        p.branches[0] = branches_[level];
        p.branch_count = 1;
        p.listed = listed;
        p.features = features;
        expect_ok(run_frames(p, options_.precision, stream), "the frames");
        return;
    }
    BranchParameters p{};
    p.frames = frames;
    p.branches[0] = branches_[level];
    p.branch_count = 1;
    p.counts = listed.count;
    p.lists = listed.frames;
    p.features = features;
    expect_ok(run_branches(p, options_.precision, schedule.branch_rows, stream), "the branches");
}

void DeviceEngine::run_tiles(const Frames& frames, const std::int32_t* given, std::int32_t* actions, float* features,
                             Stream stream) {
    RouteParameters routing = route_parameters(frames.count, given, actions, true);
    if (has_plain_policy()) {
        PolicyParameters p = policy_parameters(frames, features);
        p.routes = true;
        p.route = routing;
        run_policy(p, stream);
    } else {
        run_one_branch(frames, 0, features, stream);  // what the policy looks at
        routing.features = features;
        route_frames(routing, stream);
    }
    run_routed(frames, features, stream);
}

void DeviceEngine::run_fuse(const float* clips, int samples, int persons, float* logits, Stream stream) {
    const int count = checked_clips(samples, persons, options_.max_batch);
    const OnDevice device = make_current();
    const float scale = 1.0F / static_cast<float>(branches_.size());
    for (int branch = 0; branch < static_cast<int>(branches_.size()); ++branch) {
        run_one_branch(frames_of_clips(clips, count), branch, features_.data(), stream);
        TemporalParameters p = head_parameters(features_.data(), samples, persons, logits);
        p.scale = scale;
        p.add = branch > 0;
        head(p, stream);
    }
}

void DeviceEngine::policy_features(const float* frames, const float* previous, int count, float* features,
                                   Stream stream) {
    expect_range("frames (at most max_batch · T)", count, 0, max_frames());
    const OnDevice device = make_current();
    run_one_branch(single_frames(frames, previous, count), 0, features, stream);
}

void DeviceEngine::actions(const float* features, int clips, std::int32_t* actions, float* action_logits,
                           Stream stream) {
    expect_range("clips (the engine's max_batch is the most)", clips, 0, options_.max_batch);
    const OnDevice device = make_current();
    const int frames = clips * description_.frames;
    if (description_.adaptive) {
        RouteParameters p = route_parameters(frames, nullptr, actions, false);
        p.features = features;
        p.action_logits = action_logits;
        route_frames(p, stream);
    } else {
        expect_ok(zero(actions, frames * sizeof(std::int32_t), stream), "clearing memory");
    }
}

void DeviceEngine::branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                                   const float* policy_features, float* features, Stream stream) {
    expect_range("frames (at most max_batch · T)", count, 0, max_frames());
    const OnDevice device = make_current();
    const Frames single = single_frames(frames, previous, count);
    if (routes() && policy_features != nullptr) {
        if (policy_features != features) {
            expect_ok(copy_on_device(features, policy_features,
                                     static_cast<std::size_t>(count) * kFeature * sizeof(float), stream),
                      "copying features");
        }
    } else {
        run_one_branch(single, 0, features, stream);
    }
    with_lists(stream, [&] {
        route_frames(route_parameters(count, actions, nullptr, routes()), stream);
        if (routes()) {
            run_routed(single, features, stream);
            expect_ok(zero(counts_.data(), kMaxBranches * sizeof(int), stream), "clearing memory");
        }
    });
}

void DeviceEngine::temporal_head(const float* features, int clips, float* logits, Stream stream) {
    expect_range("clips (the engine's max_batch is the most)", clips, 0, options_.max_batch);
    const OnDevice device = make_current();
    head(head_parameters(features, clips, 1, logits), stream);
}

Fault DeviceEngine::fault(Stream stream) {
    const OnDevice device = make_current();
    int flags[2] = {0, 0};
    expect_ok(copy_to_host(flags, fault_.data(), sizeof flags, stream), "reading the device's checks");
    expect_ok(synchronise(stream), "reading the device's checks");
    if (flags[0] != 0 || flags[1] != 0) {
        expect_ok(zero(fault_.data(), sizeof flags, stream), "clearing memory");
    }
    return {flags[0] - 1, flags[1] - 1};  // one more than the frame, 0: none
}

}  // namespace adasgn::cuda
