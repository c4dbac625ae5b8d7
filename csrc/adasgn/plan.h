// A model packed for one instruction set: what the kernels read, and the memory it lies in.
#pragma once

#include <vector>

#include "adasgn/buffer.h"
#include "adasgn/cpu/kernels.h"
#include "adasgn/model.h"

namespace adasgn {

class Plan {
  public:
    enum class Part { whole, temporal };

    // halved: the layers of a causal temporal module in bfloat16 (cpu::Packed::halved), its classifier not.
    Plan(const Model& model, const cpu::Kernels& kernels, Part part = Part::whole, bool halved = false);

    const std::vector<cpu::BranchWeights>& branches() const { return branches_; }
    const cpu::PolicyWeights& policy() const { return policy_; }  // of an adaptive model
    // Of a model that is causal, and of all others.
    const cpu::CausalWeights& causal() const { return causal_; }
    const cpu::TemporalWeights& temporal() const { return temporal_; }

    bool buffers_intact() const;

  private:
    int whole_panels(int columns) const;
    float* allocate(std::size_t floats);
    // A matrix (depth, width) with element (k, n) at values[k · depth_step + n · width_step].
    cpu::Packed pack(const float* values, int depth, int width, int depth_step, int width_step, bool halved = false);
    cpu::Packed pack(const Tensor& tensor, bool halved = false);
    // A layer `name`.weight with its `name`.bias.
    cpu::Packed affine(const Model& model, const std::string& name, bool halved = false);
    // Makes products with `packed` start from one row for all, or from one row each.
    void start_from_row(cpu::Packed& packed, const float* row);
    void start_from_rows(cpu::Packed& packed, const float* rows, int count);

    cpu::CoordinateEmbedding embedding(const Model& model, const std::string& prefix, int inputs, int joints);
    cpu::BranchWeights branch(const Model& model, int index);
    void taps(const Tensor& weight, cpu::Packed (&packed)[kTaps], bool halved = false);
    cpu::CausalWeights causal(const Model& model, bool halved);

    int panel_;
    int lanes_;
    std::vector<Buffer> buffers_;
    std::vector<cpu::BranchWeights> branches_;
    cpu::PolicyWeights policy_;
    cpu::CausalWeights causal_;
    cpu::TemporalWeights temporal_;
};

// The kernels of an instruction set, for null of the best one. Throws Error (engine) for one that cannot be had.
const cpu::Kernels& checked_kernels(const char* name);

}  // namespace adasgn
