#include "reference.h"

#include <algorithm>
#include <cmath>

#include "adasgn/constants.h"

namespace adasgn::testing {

namespace {

struct Matrix {
    int rows;
    int columns;
    Doubles values;

    Matrix(int r, int c) : rows(r), columns(c), values(static_cast<std::size_t>(r) * c) {}
    explicit Matrix(const Tensor& tensor)
        : rows(tensor.shape.size() > 1 ? static_cast<int>(tensor.shape[0]) : 1),
          columns(static_cast<int>(tensor.shape.back())),
          values(tensor.values.begin(), tensor.values.end()) {}

    double& at(int r, int c) { return values[static_cast<std::size_t>(r) * columns + c]; }
    double at(int r, int c) const { return values[static_cast<std::size_t>(r) * columns + c]; }
};

Matrix times(const Matrix& a, const Matrix& b) {
    Matrix result(a.rows, b.columns);
    for (int i = 0; i < a.rows; ++i) {
        for (int k = 0; k < a.columns; ++k) {
            for (int j = 0; j < b.columns; ++j) {
                result.at(i, j) += a.at(i, k) * b.at(k, j);
            }
        }
    }
    return result;
}

Matrix transposed(const Matrix& a) {
    Matrix result(a.columns, a.rows);
    for (int i = 0; i < a.rows; ++i) {
        for (int j = 0; j < a.columns; ++j) {
            result.at(j, i) = a.at(i, j);
        }
    }
    return result;
}

// b has as many rows as a, or one for all.
Matrix plus(Matrix a, const Matrix& b) {
    for (int i = 0; i < a.rows; ++i) {
        for (int j = 0; j < a.columns; ++j) {
            a.at(i, j) += b.at(b.rows == 1 ? 0 : i, j);
        }
    }
    return a;
}

Matrix relu(Matrix a) {
    for (double& x : a.values) {
        x = std::max(x, 0.0);
    }
    return a;
}

Doubles column_maxima(const Matrix& a) {
    Doubles result(a.columns, -INFINITY);
    for (int i = 0; i < a.rows; ++i) {
        for (int j = 0; j < a.columns; ++j) {
            result[j] = std::max(result[j], a.at(i, j));
        }
    }
    return result;
}

Matrix embed(const Model& model, const std::string& prefix, const Matrix& x) {
    const Tensor& transform = model.tensor(prefix + "transform");
    const int joints = static_cast<int>(transform.shape[1]);
    Matrix y(model.tensor(prefix + "shift"));
    for (int c = 0; c < kCoordinates; ++c) {
        for (int j = 0; j < joints; ++j) {
            for (int v = 0; v < x.rows; ++v) {
                y.at(j, c) += double{transform.values[(c * joints + j) * x.rows + v]} * x.at(v, c);
            }
        }
    }
    const auto matrix = [&](const char* name) { return Matrix(model.tensor(prefix + name)); };
    const Matrix hidden = relu(plus(times(y, matrix("hidden.weight")), matrix("hidden.bias")));
    return relu(plus(times(hidden, matrix("output.weight")), matrix("output.bias")));
}

// A pose branch: all joints of a frame as one row, positions and then velocities.
Matrix pose(const Model& model, const std::string& prefix, const Matrix& position, const Matrix& velocity) {
    Matrix x(1, 2 * position.rows * kCoordinates);
    std::copy(velocity.values.begin(), velocity.values.end(),
              std::copy(position.values.begin(), position.values.end(), x.values.begin()));
    const auto matrix = [&](const char* name) { return Matrix(model.tensor(prefix + name)); };
    const Matrix hidden = relu(plus(times(x, matrix("hidden.weight")), matrix("hidden.bias")));
    return relu(plus(times(hidden, matrix("output.weight")), matrix("output.bias")));
}

// Frames 0, stride, 2·stride … of the convolution of features (T, 256).
Matrix over_time(const Tensor& weight, const Matrix& bias, const Doubles& features, int stride = 1) {
    const int frames = static_cast<int>(features.size()) / kFeature;
    const int width = static_cast<int>(weight.shape[2]);
    Matrix result = plus(Matrix((frames + stride - 1) / stride, width), bias);
    for (int row = 0; row < result.rows; ++row) {
        for (int tap = 0; tap < kTaps; ++tap) {
            const int from = row * stride + tap - 1;
            if (from < 0 || from >= frames) {
                continue;
            }
            for (int k = 0; k < kFeature; ++k) {
                for (int n = 0; n < width; ++n) {
                    result.at(row, n) += features[static_cast<std::size_t>(from) * kFeature + k] *
                                         weight.values[(static_cast<std::size_t>(tap) * kFeature + k) * width + n];
                }
            }
        }
    }
    return result;
}

// Layers x + ReLU(taps at t - 2d, t - d, t), each shorter by 2d rows: the last `pool` rows of features (T, 256).
Matrix over_the_past(const Model& model, const Doubles& features) {
    const std::vector<int>& dilations = model.description.causal->dilations;
    Matrix x(static_cast<int>(features.size()) / kFeature, kFeature);
    x.values = features;
    for (std::size_t i = 0; i < dilations.size(); ++i) {
        const std::string prefix = "temporal.layers." + std::to_string(i) + ".";
        const Tensor& weight = model.tensor(prefix + "weight");
        const int past = (kTaps - 1) * dilations[i];
        Matrix y = plus(Matrix(x.rows - past, kFeature), Matrix(model.tensor(prefix + "bias")));
        for (int row = 0; row < y.rows; ++row) {
            for (int tap = 0; tap < kTaps; ++tap) {
                for (int k = 0; k < kFeature; ++k) {
                    for (int n = 0; n < kFeature; ++n) {
                        y.at(row, n) += x.at(row + tap * dilations[i], k) *
                                        weight.values[(static_cast<std::size_t>(tap) * kFeature + k) * kFeature + n];
                    }
                }
            }
        }
        y = relu(y);
        for (int row = 0; row < y.rows; ++row) {
            for (int n = 0; n < kFeature; ++n) {
                y.at(row, n) += x.at(row + past, n);
            }
        }
        x = y;
    }
    return x;
}

Doubles feature(const Model& model, int branch, const Matrix& position, const Matrix& velocity) {
    const std::string prefix = "branches." + std::to_string(branch) + ".";
    const auto matrix = [&](const std::string& name) { return Matrix(model.tensor(prefix + name)); };
    if (model.description.branches[branch].pose()) {
        return pose(model, prefix, position, velocity).values;
    }
    const Matrix d = plus(embed(model, prefix + "position.", position), embed(model, prefix + "velocity.", velocity));
    const bool graph = d.rows > 1;
    Matrix adjacency(d.rows, d.rows);
    if (graph) {
        const Matrix left = plus(times(d, matrix("adjacency.q")), matrix("adjacency.r"));
        adjacency =
            plus(plus(times(left, transposed(d)), times(d, transposed(matrix("adjacency.u")))), matrix("adjacency.c"));
        for (int i = 0; i < d.rows; ++i) {
            double* const row = &adjacency.at(i, 0);
            const double top = *std::max_element(row, row + d.rows);
            double sum = 0;
            for (int j = 0; j < d.rows; ++j) {
                row[j] = std::exp(row[j] - top);
                sum += row[j];
            }
            for (int j = 0; j < d.rows; ++j) {
                row[j] /= sum;
            }
        }
    }
    Matrix x = d;
    for (int k = 0; k < model.description.branches[branch].layer_count(); ++k) {
        const std::string layer = "layers." + std::to_string(k) + ".";
        Matrix sum = plus(times(x, matrix(layer + "itself")), matrix(layer + "bias"));
        if (graph) {
            Matrix neighbours = times(x, matrix(layer + "neighbours"));
            if (k == 0) {
                neighbours = plus(neighbours, matrix(layer + "neighbours_constant"));
            }
            sum = plus(sum, times(adjacency, neighbours));
        }
        x = relu(sum);
    }
    return column_maxima(x);
}

// Of frame t of a causal model's window: joints relative to the origin joint, and after them that joint's trail.
Doubles causal_feature(const Model& model, int branch, const float* window, int t) {
    const CausalShape& causal = *model.description.causal;
    const int joints = model.description.recorded_joints();
    const auto at = [&](int ago, int joint, int c) -> double {
        return window[((t + causal.lead() - ago) * joints + joint) * kCoordinates + c];
    };
    Matrix position(model.description.joints, kCoordinates);
    Matrix velocity(model.description.joints, kCoordinates);
    for (int v = 0; v < model.description.joints; ++v) {
        const int ago = v < joints ? 0 : causal.trail[v - joints];
        const int joint = v < joints ? v : causal.origin;
        for (int c = 0; c < kCoordinates; ++c) {
            position.at(v, c) = at(ago, joint, c) - at(0, causal.origin, c);
            velocity.at(v, c) = at(ago, joint, c) - at(ago + 1, joint, c);
        }
    }
    return feature(model, branch, position, velocity);
}

}  // namespace

Doubles frame_feature(const Model& model, int branch, const float* current, const float* previous) {
    Matrix position(model.description.joints, kCoordinates);
    Matrix velocity(model.description.joints, kCoordinates);
    for (std::size_t i = 0; i < position.values.size(); ++i) {
        position.values[i] = current[i];
        velocity.values[i] = previous == nullptr ? 0.0 : double{current[i]} - previous[i];
    }
    return feature(model, branch, position, velocity);
}

Doubles action_logits(const Model& model, const Doubles& features) {
    return over_time(model.tensor("policy.weight"), Matrix(model.tensor("policy.bias")), features).values;
}

Doubles class_logits(const Model& model, const Doubles& features) {
    const auto matrix = [&](const char* name) { return Matrix(model.tensor(name)); };
    const Matrix y = model.description.causal
                         ? over_the_past(model, features)
                         : relu(over_time(model.tensor("temporal.across.weight"), matrix("temporal.across.bias"),
                                          features, model.description.stride));
    const Matrix z = relu(plus(times(y, matrix("temporal.widen.weight")), matrix("temporal.widen.bias")));
    Matrix pooled(1, kTemporal);
    pooled.values = column_maxima(z);
    return plus(times(pooled, matrix("temporal.classify.weight")), matrix("temporal.classify.bias")).values;
}

Doubles clip_features(const Model& model, const float* clip, const std::vector<int>& actions) {
    const std::size_t frame = static_cast<std::size_t>(model.description.joints) * kCoordinates;
    Doubles features;
    for (int t = 0; t < model.description.frames; ++t) {
        const float* const current = clip + t * frame;
        const Doubles row = model.description.causal
                                ? causal_feature(model, actions[t], clip, t)
                                : frame_feature(model, actions[t], current, t == 0 ? nullptr : current - frame);
        features.insert(features.end(), row.begin(), row.end());
    }
    return features;
}

Level sample_level(const Model& model, int branch, const float* clips, int persons) {
    const Description& d = model.description;
    const std::size_t clip = static_cast<std::size_t>(d.clip_frames()) * d.recorded_joints() * kCoordinates;
    Level level{{}, Doubles(d.classes)};
    for (int person = 0; person < persons; ++person) {
        const Doubles features = clip_features(model, clips + person * clip, std::vector<int>(d.frames, branch));
        const Doubles logits = class_logits(model, features);
        level.features.insert(level.features.end(), features.begin(), features.end());
        for (int k = 0; k < d.classes; ++k) {
            level.logits[k] += logits[k] / persons;
        }
    }
    return level;
}

Escalated escalate(const std::vector<Level>& levels, double threshold) {
    Doubles sums(levels[0].logits.size());
    Escalated result{{}, -1, {}};
    do {
        const Doubles& logits = levels[++result.level].logits;
        double sum = 0;
        for (const double logit : logits) {
            sum += std::exp(logit);
        }
        for (std::size_t k = 0; k < logits.size(); ++k) {
            sums[k] += std::exp(logits[k]) / sum;
        }
        result.confident.push_back(*std::max_element(sums.begin(), sums.end()) / (result.level + 1));
    } while (result.level + 1 < static_cast<int>(levels.size()) && result.confident.back() < threshold);
    for (const double sum : sums) {
        result.logits.push_back(std::log(sum / (result.level + 1)));
    }
    return result;
}

double relative_error(const Doubles& expected, const float* found) {
    double difference = 0;
    double norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        difference += (found[i] - expected[i]) * (found[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    return std::sqrt(difference / norm);
}

}  // namespace adasgn::testing
