// The constants of the architecture (the paper's C = 3, 64, 256, 512) and the limits of a model file.
#pragma once

#include <cstddef>
#include <cstdint>

namespace adasgn {

constexpr int kCoordinates = 3;
constexpr int kEmbedding = 64;
constexpr int kNode = 128;
constexpr int kFeature = 256;
constexpr int kTemporal = 512;
constexpr int kTaps = 3;
constexpr int kMaxStride = 2;     // of the first temporal convolution
constexpr int kPoseHidden = 256;  // between the two layers of a pose branch
constexpr int kMaxLayers = 3;

// The largest coordinate of a clip, in the units of normalised clips, and the largest feature that a caller may give.
// Beyond them products of two activations leave float's range, and ReLU makes zeros of what comes of that.
constexpr float kMaxCoordinate = 1e4F;
constexpr float kMaxFeature = 1e18F;

constexpr int kMaxJoints = 256;
constexpr int kMaxFrames = 1024;
constexpr int kMaxClasses = 65536;
constexpr int kMaxBranches = 32;
constexpr int kMaxWindow = 3600;  // seconds
// Of causal models.
constexpr int kMaxTrail = 16;
constexpr int kMaxTemporalLayers = 16;
constexpr std::int64_t kMinStep = 1'000'000;                  // nanoseconds
constexpr std::int64_t kMaxStep = 10'000'000'000;             // nanoseconds
constexpr std::int64_t kMaxDecisionTime = 3'600'000'000'000;  // nanoseconds
constexpr std::int64_t kMaxCost = std::int64_t{1} << 62;
constexpr std::size_t kMostEffortPoints = 64;
constexpr double kAlwaysEscalate = 2;     // the largest threshold: no probability reaches it
constexpr double kShareTolerance = 1e-3;  // what action shares may add up to beside 1

}  // namespace adasgn
