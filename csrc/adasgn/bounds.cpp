#include "adasgn/bounds.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/error.h"

namespace adasgn {

namespace {

// The rest is for rounding and for differences.
constexpr double kMostSum = std::numeric_limits<float>::max() / 16.0;

// Of the magnitudes of a row's elements, whichever row (joint, frame) it is.
using Bounds = std::vector<double>;

// The element-wise maximum of the rows (…, width) of a tensor.
Bounds largest_row(const Tensor& tensor, std::size_t width) {
    Bounds row(width, 0.0);
    for (std::size_t i = 0; i < tensor.values.size(); ++i) {
        double& bound = row[i % width];
        const double value = std::fabs(static_cast<double>(tensor.values[i]));
        bound = value > bound || std::isnan(value) ? value : bound;
    }
    return row;
}

double largest(const Bounds& bounds) {
    double most = 0;
    for (const double bound : bounds) {
        most = bound > most || std::isnan(bound) ? bound : most;
    }
    return most;
}

double dot(const Bounds& a, const Bounds& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        sum += a[i] * b[i];
    }
    return sum;
}

void raise_to(Bounds& bounds, const Bounds& others) {
    std::transform(bounds.begin(), bounds.end(), others.begin(), bounds.begin(),
                   [](double a, double b) { return std::max(a, b); });
}

class Computing {
  public:
    explicit Computing(const Model& model) : model_(model) {}

    Bounds features() const {
        const Description& d = model_.description;
        Bounds features(kFeature, 0.0);
        for (std::size_t i = 0; i < d.branches.size(); ++i) {
            const std::string prefix = "branches." + std::to_string(i) + ".";
            raise_to(features, d.branches[i].pose() ? pose_branch(prefix) : branch(prefix, d.branches[i]));
        }
        return features;
    }

    // Whatever comes after features.
    void from_features(const Bounds& features) const {
        const Description& d = model_.description;
        if (d.adaptive) {
            expect(product(features, "policy.weight", "policy.bias", kTaps), "policy");
        }
        Bounds rows = features;
        if (d.causal) {
            for (std::size_t i = 0; i < d.causal->dilations.size(); ++i) {
                const std::string layer = "temporal.layers." + std::to_string(i);
                Bounds more = product(rows, layer + ".weight", layer + ".bias", kTaps);
                std::transform(more.begin(), more.end(), rows.begin(), rows.begin(),
                               [](double a, double b) { return a + b; });
                expect(rows, layer);
            }
        } else {
            rows = expect(product(rows, "temporal.across.weight", "temporal.across.bias", kTaps), "temporal.across");
        }
        rows = affine(rows, "temporal.widen");
        affine(rows, "temporal.classify");
    }

  private:
    // x · matrices (count, depth, width), which are added up, + the largest row of the bias, unless that is "".
    Bounds product(const Bounds& x, const std::string& matrices, const std::string& bias, std::size_t count = 1) const {
        const Tensor& tensor = model_.tensor(matrices);
        const auto width = static_cast<std::size_t>(tensor.shape.back());
        Bounds sums = bias.empty() ? Bounds(width, 0.0) : largest_row(model_.tensor(bias), width);
        const float* weights = tensor.values.data();
        for (std::size_t row = 0; row < count * x.size(); ++row, weights += width) {
            const double factor = x[row % x.size()];
            for (std::size_t n = 0; n < width; ++n) {
                sums[n] += factor * std::fabs(static_cast<double>(weights[n]));
            }
        }
        return sums;
    }

    Bounds expect(Bounds sums, const std::string& where) const {
        const double most = largest(sums);
        if (!(most <= kMostSum)) {
            char found[32];
            std::snprintf(found, sizeof found, "%.2g", most);
            throw Error(ErrorKind::model_file,
                        model_.name + ": expected weights whose sums stay within float's range for every clip, found " +
                            "them too large: up to " + found + " after " + where);
        }
        return sums;
    }

    Bounds affine(const Bounds& x, const std::string& name) const {
        return expect(product(x, name + ".weight", name + ".bias"), name);
    }

    // Of a frame relative to its origin a coordinate, and of two frames a velocity, is a difference.
    double coordinate() const { return model_.description.causal ? 2.0 * kMaxCoordinate : kMaxCoordinate; }

    Bounds pose_branch(const std::string& prefix) const {
        Bounds x(static_cast<std::size_t>(model_.description.joints) * 2 * kCoordinates, 2 * coordinate());
        std::fill_n(x.begin(), x.size() / 2, coordinate());
        return affine(affine(x, prefix + "hidden"), prefix + "output");
    }

    Bounds embedding(const std::string& prefix, double coordinate) const {
        const Tensor& transform = model_.tensor(prefix + "transform");  // (3, V_i, V)
        const auto joints = static_cast<std::size_t>(transform.shape[2]);
        Bounds x = largest_row(model_.tensor(prefix + "shift"), kCoordinates);
        Bounds sums(transform.values.size() / joints, 0.0);  // (3 · V_i)
        for (std::size_t i = 0; i < transform.values.size(); ++i) {
            sums[i / joints] += coordinate * std::fabs(static_cast<double>(transform.values[i]));
        }
        const std::size_t rows = sums.size() / kCoordinates;
        for (std::size_t c = 0; c < kCoordinates; ++c) {
            x[c] += largest({sums.begin() + c * rows, sums.begin() + (c + 1) * rows});
        }
        return affine(affine(expect(x, prefix + "transform"), prefix + "hidden"), prefix + "output");
    }

    Bounds branch(const std::string& prefix, const BranchShape& shape) const {
        Bounds x = embedding(prefix + "position.", coordinate());
        const Bounds velocity = embedding(prefix + "velocity.", 2 * coordinate());
        std::transform(x.begin(), x.end(), velocity.begin(), x.begin(), [](double a, double b) { return a + b; });
        const bool several = shape.joints > 1;
        if (several) {
            const std::string name = prefix + "adjacency.";
            const Bounds query = expect(product(x, name + "q", name + "r"), name + "q");
            const Bounds u = largest_row(model_.tensor(name + "u"), kEmbedding);
            const double c = largest(largest_row(model_.tensor(name + "c"), 1));
            expect({dot(query, x) + dot(x, u) + c}, prefix + "adjacency");
        }
        for (int k = 0; k < shape.layer_count(); ++k) {
            const std::string name = prefix + "layers." + std::to_string(k) + ".";
            Bounds sums = product(x, name + "itself", name + "bias");
            if (several) {  // weighted by a softmax, rows are no larger than the largest of them
                const Bounds mixed = product(x, name + "neighbours", k == 0 ? name + "neighbours_constant" : "");
                std::transform(sums.begin(), sums.end(), mixed.begin(), sums.begin(),
                               [](double a, double b) { return a + b; });
            }
            x = expect(sums, name.substr(0, name.size() - 1));
        }
        return x;
    }

    const Model& model_;
};

}  // namespace

float expect_computable(const Model& model) {
    const Computing computing(model);
    const Bounds features = computing.features();
    computing.from_features(features);
    try {
        computing.from_features(Bounds(kFeature, kMaxFeature));
    } catch (const Error&) {
        return static_cast<float>(largest(features));
    }
    return kMaxFeature;
}

}  // namespace adasgn
