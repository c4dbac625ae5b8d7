// The one matrix product everything is made of: sums of products over blocks of rows, finished in registers.
//
//     out[block][row] = finish(start[row] + sum over operands of a[block][row] · b)
//
// Columns go panel by panel (outer loop), so that a panel of weights is read from the cache by all rows that are
// stacked; rows go tile by tile, a block's rows in tiles of nearly equal height. With few rows a panel of weights is
// used about as fast as memory gives it, so the tiles on a panel also fetch the next one, each a part.
#pragma once

#include "adasgn/cpu/kernels.h"
#include "adasgn/cpu/simd.h"

namespace adasgn::cpu::ADASGN_ISA {

enum class Finish {
    plain,         // out = sum
    relu,          // out = max(sum, 0)
    add_relu,      // out += max(sum, 0)
    relu_maximum,  // out, one row per block = max(0, maximum over the block's rows)
};

struct Operand {
    const float* a;  // rows of kRowStride floats
    std::ptrdiff_t a_block;
    const float* b;  // or words of halved weights
    std::ptrdiff_t b_row;
    std::ptrdiff_t b_panel;
    std::ptrdiff_t b_block;
    std::ptrdiff_t next_panel;  // from a panel to the one to be fetched meanwhile; 0: none
    int depth;
    bool halved;  // what b is; the same of all operands of a product
};

struct Product {
    Operand operands[kTaps];
    int operand_count;
    const float* start;  // null: from zero
    std::ptrdiff_t start_stride;
    int blocks;
    int rows;  // of a block
    int width;
    Finish finish;
    float* out;
    std::ptrdiff_t out_block;
};

// A row of a panel, in words.
ADASGN_INLINE std::ptrdiff_t panel_row(const Packed& weights) {
    return weights.halved ? kPanel / 2 : kPanel;
}

// Rows at `a` (blocks a_block floats apart) times packed weights.
ADASGN_INLINE Operand weighted(const float* a, std::ptrdiff_t a_block, const Packed& weights) {
    const std::ptrdiff_t row = panel_row(weights);
    const std::ptrdiff_t panel = row * weights.depth;
    return {a, a_block, weights.panels, row, panel, 0, panel, weights.depth, weights.halved};
}

// The weights from a column on, a multiple of kPanel.
ADASGN_INLINE const float* panels_from(const Packed& weights, std::ptrdiff_t column) {
    return weights.panels + column / kPanel * panel_row(weights) * weights.depth;
}

// Rows at `a` times activations at `b` of the same block; b's rows are b_row floats apart.
ADASGN_INLINE Operand mixed(const float* a, std::ptrdiff_t a_block, const float* b, std::ptrdiff_t b_row,
                            std::ptrdiff_t b_block, int depth) {
    return {a, a_block, b, b_row, kPanel, b_block, 0, depth, false};
}

struct Tile {
    const float* a[kTaps];
    const float* b[kTaps];
    std::ptrdiff_t b_row[kTaps];
    const float* ahead[kTaps];  // to be fetched meanwhile, `ahead_step` floats on with each element of a
    std::ptrdiff_t ahead_step[kTaps];
    int depth[kTaps];
    int operand_count;
    const float* start;
    std::ptrdiff_t start_stride;
    float* out;
    Finish finish;
    bool first_of_block;
};

// Halved: of all operands' b.
template <int Rows, int Vectors, bool Halved>
__attribute__((noinline)) void run_tile(const Tile& tile) {
    Vec sum[Rows][Vectors];
    if (tile.start != nullptr) {
        unroll<Rows>([&](auto r) {
            unroll<Vectors>([&](auto v) { sum[r][v] = load(tile.start + r * tile.start_stride + v * kLanes); });
        });
    } else {
        unroll<Rows>([&](auto r) { unroll<Vectors>([&](auto v) { sum[r][v] = 0.0F; }); });
    }
    for (int operand = 0; operand < tile.operand_count; ++operand) {
        const float* a = tile.a[operand];
        const float* const a_end = a + tile.depth[operand];
        const float* b = tile.b[operand];
        const std::ptrdiff_t b_row = tile.b_row[operand];
        const float* ahead = tile.ahead[operand];
        const std::ptrdiff_t ahead_step = tile.ahead_step[operand];
        for (; a != a_end; ++a, b += b_row, ahead += ahead_step) {
            __builtin_prefetch(ahead, 0, 2);  // to the second-level cache; after the last panel any address will do
            Vec b_vectors[Vectors];
            if constexpr (Halved) {
                unroll<Vectors>([&](auto v) { b_vectors[v] = widened(load(b + v / 2 * kLanes), v % 2 != 0); });
            } else {
                unroll<Vectors>([&](auto v) { b_vectors[v] = load(b + v * kLanes); });
            }
            unroll<Rows>([&](auto r) {
                const Vec element = a[r * kRowStride];
                unroll<Vectors>([&](auto v) { sum[r][v] = element * b_vectors[v] + sum[r][v]; });
            });
        }
    }
    const Vec zero = 0.0F;
    float* const out = tile.out;
    switch (tile.finish) {
        case Finish::plain:
            unroll<Rows>(
                [&](auto r) { unroll<Vectors>([&](auto v) { store(sum[r][v], out + r * kRowStride + v * kLanes); }); });
            break;
        case Finish::relu:
            unroll<Rows>([&](auto r) {
                unroll<Vectors>([&](auto v) { store(stdx::max(sum[r][v], zero), out + r * kRowStride + v * kLanes); });
            });
            break;
        case Finish::add_relu:
            unroll<Rows>([&](auto r) {
                unroll<Vectors>([&](auto v) {
                    float* const to = out + r * kRowStride + v * kLanes;
                    store(load(to) + stdx::max(sum[r][v], zero), to);
                });
            });
            break;
        case Finish::relu_maximum:
            unroll<Vectors>([&](auto v) {
                Vec maximum = tile.first_of_block ? zero : load(out + v * kLanes);
                unroll<Rows>([&](auto r) { maximum = stdx::max(maximum, sum[r][v]); });
                store(maximum, out + v * kLanes);
            });
            break;
    }
}

using TileFunction = void (*)(const Tile&);

template <int Vectors, bool Halved, std::size_t... R>
inline TileFunction tile_of(int rows, std::index_sequence<R...>) {
    static constexpr TileFunction functions[] = {run_tile<static_cast<int>(R) + 1, Vectors, Halved>...};
    return functions[rows - 1];
}

// Few heights for halved weights, which are for few rows.
template <bool Halved>
constexpr int kHighest = Halved ? (kTileRows < 6 ? kTileRows : 6) : kTileRows;

template <int Vectors, bool Halved>
inline TileFunction tile_of(int rows) {
    return tile_of<Vectors, Halved>(rows, std::make_index_sequence<kHighest<Halved>>{});
}

// Halved: the width is a multiple of kPanel.
template <bool Halved>
void run_with(const Product& product) {
    const int tiles = (product.rows + kHighest<Halved> - 1) / kHighest<Halved>;
    const int height = product.rows / tiles;
    const int taller = product.rows % tiles;  // so many tiles have one row more
    const int all_tiles = product.blocks * tiles;
    Tile tile;
    tile.operand_count = product.operand_count;
    tile.start_stride = product.start_stride;
    tile.finish = product.finish;
    for (int i = 0; i < product.operand_count; ++i) {
        tile.b_row[i] = product.operands[i].b_row;
        tile.depth[i] = product.operands[i].depth;
    }
    for (int column = 0; column < product.width; column += kPanel) {
        const bool narrow = product.width - column <= kLanes;
        const auto of_height = [&](int rows) {
            if constexpr (Halved) {
                return tile_of<kPanelVectors, Halved>(rows);
            } else {
                return narrow ? tile_of<1, Halved>(rows) : tile_of<kPanelVectors, Halved>(rows);
            }
        };
        const TileFunction functions[2] = {of_height(height), taller == 0 ? nullptr : of_height(height + 1)};
        const std::ptrdiff_t panel = column / kPanel;
        for (int block = 0; block < product.blocks; ++block) {
            for (int i = 0, row = 0; i < tiles; ++i) {
                const bool tall = i < taller;
                for (int k = 0; k < product.operand_count; ++k) {
                    const Operand& operand = product.operands[k];
                    tile.a[k] = operand.a + block * operand.a_block + static_cast<std::ptrdiff_t>(row) * kRowStride;
                    const float* const b = operand.b + block * operand.b_block + panel * operand.b_panel;
                    tile.b[k] = b;
                    tile.ahead[k] = b + operand.next_panel + operand.next_panel * (block * tiles + i) / all_tiles;
                    tile.ahead_step[k] = operand.next_panel == 0 ? 0 : (operand.b_row + all_tiles - 1) / all_tiles;
                }
                tile.start = product.start == nullptr ? nullptr : product.start + row * product.start_stride + column;
                tile.first_of_block = row == 0;
                const std::ptrdiff_t out_row = product.finish == Finish::relu_maximum ? 0 : row;
                tile.out = product.out + block * product.out_block + out_row * kRowStride + column;
                functions[tall](tile);
                row += height + (tall ? 1 : 0);
            }
        }
    }
}

inline void run(const Product& product) {
    (product.operands[0].halved ? run_with<true> : run_with<false>)(product);
}

}  // namespace adasgn::cpu::ADASGN_ISA
