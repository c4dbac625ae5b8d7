// A model as the CUDA kernels read it: one piece of memory to copy to a device, and where in it everything lies.
#pragma once

#include <cstddef>
#include <vector>

#include "adasgn/model.h"
#include "launch.h"

namespace adasgn::cuda {

// The precision of a branch's products: that of the engine, but the branch that the policy looks at is always exact, so
// that every engine routes alike.
Precision branch_precision(const Description& description, Precision precision, int branch);

class PackedModel {
  public:
    // Throws Error (engine) for a model that the kernels cannot run, naming the limit.
    PackedModel(const Model& model, Precision precision);

    // Whether the policy looks at a branch that kernels/one_joint.h computes.
    static bool has_plain_policy(const Description& description);

    const std::vector<unsigned char>& bytes() const { return bytes_; }

    // The weights as kernel parameters, once bytes() lie at `base` on the device.
    BranchWeights branch(int index, const void* base) const;
    PolicyWeights policy(const void* base) const;      // null pointers for a model without
    PoseWeights pose(const void* base) const;          // null pointers for a model without a pose branch
    TemporalWeights temporal(const void* base) const;  // null pointers for a causal model
    CausalWeights causal(const void* base) const;      // no layers for one that is not

  private:
    using Offset = std::size_t;
    struct Branch {
        BranchWeights weights;  // without pointers
        Offset constants;
        Offset stream;
        Offset key_bias;
        Offset plain;
        bool has_plain;
    };
    struct Pose {
        Offset stream;
        Offset hidden_bias;
        Offset output_bias;
        int inputs;  // 0: no pose branch
    };
    struct Temporal {
        Offset across;
        Offset across_bias;
        Offset widen;
        Offset widen_bias;
        Offset classify;
        Offset classify_bias;
    };

    struct Causal {
        CausalWeights weights;  // without pointers
        struct Layer {
            Offset weights;
            Offset bias;
        };
        std::vector<Layer> layers;
    };

    Offset begin_array();
    Offset add_floats(const std::vector<float>& values);
    Branch pack_branch(const Model& model, int index, Precision precision);
    void pack_pose(const Model& model, Precision precision);
    Offset pack_constants(const Model& model, int index);
    Offset pack_columns(const Tensor& weight, Precision precision);
    void pack_temporal(const Model& model, Precision precision);
    void pack_causal(const Model& model, Precision precision);

    std::vector<unsigned char> bytes_;
    std::vector<Branch> branches_;
    bool adaptive_;
    Offset policy_weight_ = 0;
    Offset policy_bias_ = 0;
    Pose pose_{};
    Temporal temporal_{};
    Causal causal_{};
};

}  // namespace adasgn::cuda
