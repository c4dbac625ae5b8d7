// Scratch of one worker: the rows of the largest group that it is given.
#pragma once

#include <algorithm>
#include <vector>

#include "adasgn/buffer.h"
#include "adasgn/cpu/kernels.h"

namespace adasgn {

class WorkerBuffers {
  public:
    explicit WorkerBuffers(int row_count)
        : transposed_(static_cast<std::size_t>(kEmbedding) * kMaxJoints),
          pooled_(static_cast<std::size_t>(row_count) * kTemporal) {
        for (int i = 0; i < 7; ++i) {
            rows_.emplace_back(static_cast<std::size_t>(row_count) * cpu::kRowStride);
        }
    }

    cpu::Scratch scratch() const {
        return {rows_[0].data(), rows_[1].data(), rows_[2].data(),    rows_[3].data(), rows_[4].data(),
                rows_[5].data(), rows_[6].data(), transposed_.data(), pooled_.data()};
    }

    bool intact() const {
        return std::all_of(rows_.begin(), rows_.end(), [](const Buffer& buffer) { return buffer.intact(); }) &&
               transposed_.intact() && pooled_.intact();
    }

  private:
    std::vector<Buffer> rows_;
    Buffer transposed_;
    Buffer pooled_;
};

}  // namespace adasgn
