// Products of small matrices by one warp, in two precisions with one layout of results.
//
// A warp's results are blocks of 16 x 16. Lane 4g + q holds, of each block, rows g and g + 8 and columns 2q, 2q + 1,
// 2q + 8 and 2q + 9: the layout of mma.m16n8k16. Binary32 computes the same places with ordinary multiply-adds, so that
// all that follows a product (bias, ReLU, softmax, maxima) is written once.
#pragma once

#include "device.h"
#include "launch.h"

namespace adasgn::cuda {

template <int Tiles, int Blocks>
struct Accumulators {
    float values[Tiles][Blocks][2][4];  // [16 rows][16 columns][8 columns][row g: 2, row g + 8: 2]

    ADASGN_DEVICE void clear() {
#pragma unroll
        for (int tile = 0; tile < Tiles; ++tile) {
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    values[tile][block][i / 4][i % 4] = 0;
                }
            }
        }
    }

    // Calls visit(row, column, x, y) for this lane's results in columns `column` and `column + 1`.
    template <class Visit>
    ADASGN_DEVICE void pairs(const Visit& visit) {
        const int row = lane() / 4;
        const int column = 2 * (lane() % 4);
#pragma unroll
        for (int tile = 0; tile < Tiles; ++tile) {
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    float(&v)[4] = values[tile][block][half];
                    visit(kBlock * tile + row, kBlock * block + 8 * half + column, v[0], v[1]);
                    visit(kBlock * tile + row + 8, kBlock * block + 8 * half + column, v[2], v[3]);
                }
            }
        }
    }
};

// What is added to a warp's results, at the same places: fetched before the product where registers allow, so that
// nobody waits for it afterwards.
template <int Tiles, int Blocks>
struct Addends {
    float2 values[Tiles][Blocks][2][2];  // [16 rows][16 columns][8 columns][row g, row g + 8]

    // place(row, column): where the addends of columns `column` and `column + 1` lie in global memory.
    template <class Place>
    ADASGN_DEVICE void load(const Place& place) {
        const int row = lane() / 4;
        const int column = 2 * (lane() % 4);
#pragma unroll
        for (int tile = 0; tile < Tiles; ++tile) {
#pragma unroll
            for (int i = 0; i < 4 * Blocks; ++i) {
                const int block = i / 4;
                const int half = i / 2 % 2;
                values[tile][block][half][i % 2] = load_global(reinterpret_cast<const float2*>(
                    place(kBlock * tile + row + i % 2 * 8, kBlock * block + 8 * half + column)));
            }
        }
    }

    ADASGN_DEVICE void add_to(Accumulators<Tiles, Blocks>& results) const {
#pragma unroll
        for (int tile = 0; tile < Tiles; ++tile) {
#pragma unroll
            for (int i = 0; i < 2 * Blocks; ++i) {
                float(&v)[4] = results.values[tile][i / 2][i % 2];
                const float2(&a)[2] = values[tile][i / 2][i % 2];
                v[0] += a[0].x;
                v[1] += a[0].y;
                v[2] += a[1].x;
                v[3] += a[1].y;
            }
        }
    }
};

// Rows of a matrix in shared memory, `stride` elements apart. Rows from `last` on are read as the last: fragments are
// 16 rows high, and what belongs to another frame must not be touched while another warp may write it.
template <class Element>
struct Rows {
    const Element* first;
    int stride;
    int last;

    ADASGN_DEVICE const Element* row(int index) const { return first + minimum(index, last) * stride; }
};

struct Binary16 {
    using Element = Half;
    static constexpr int kBlockBytes = kBlock * kBlock * 2;
    static constexpr bool kOwnShare = true;  // no two lanes read the same of a block
    using Share = uint4;                     // of a packed block: this lane's part of the mma's right side

    ADASGN_DEVICE static float2 load_pair(const Half* at) { return unpack(*reinterpret_cast<const uint32_t*>(at)); }
    ADASGN_DEVICE static void store_pair(Half* at, float x, float y) { *reinterpret_cast<uint32_t*>(at) = pack(x, y); }
    ADASGN_DEVICE static void store(Half* at, float x) { *at = to_half(x); }
    // As stored and loaded.
    ADASGN_DEVICE static float2 rounded(float x, float y) { return unpack(pack(x, y)); }

    // kernels/weight_stream.h: multiply. The left side of the next tile is on its way while this one is multiplied.
    template <int Depth, int Start, int Tiles, int Blocks, class Weights>
    ADASGN_DEVICE static void multiply(Accumulators<Tiles, Blocks>& results, const Half* left, int stride,
                                       Weights& weights) {
        constexpr int kSteps = Depth / kBlock;
        constexpr int kRound = Weights::kSlots / Blocks;  // steps until the slots come round
        constexpr int kUnrolled = kSteps < kRound ? kSteps : kRound;
        static_assert(kSteps % kUnrolled == 0 && kUnrolled * Tiles % 2 == 0 && Weights::kSlots % Blocks == 0 &&
                      Start % Blocks == 0);
        const Half* const row = left + (lane() % 16) * stride + lane() / 16 * 8;
        uint32_t a[2][4];
        load_matrix(a[0], row);
#pragma unroll 1
        for (int first = 0; first < kSteps; first += kUnrolled) {
#pragma unroll
            for (int i = 0; i < kUnrolled; ++i) {
                const int slot = (Start + i * Blocks) % Weights::kSlots;
#pragma unroll
                for (int tile = 0; tile < Tiles; ++tile) {
                    const int now = (i * Tiles + tile) % 2;
                    const bool last = tile + 1 == Tiles;  // then the first of the next step, at the end once more
                    const int step = last ? minimum(first + i + 1, kSteps - 1) : first + i;
                    load_matrix(a[1 - now], row + (last ? 0 : tile + 1) * kBlock * stride + step * kBlock);
#pragma unroll
                    for (int block = 0; block < Blocks; ++block) {
                        const Share& right = weights.next(slot + block);
                        multiply_add(results.values[tile][block][0], a[now], right.x, right.y);
                        multiply_add(results.values[tile][block][1], a[now], right.z, right.w);
                    }
                }
#pragma unroll
                for (int block = 0; block < Blocks; ++block) {
                    weights.refill(slot + block);
                }
            }
        }
    }

    // The left side of a tile whose rows are bounded.
    ADASGN_DEVICE static void load_left(uint32_t (&a)[4], const Rows<Half>& rows, int first_row, int k) {
        load_matrix(a, rows.row(first_row + lane() % 16) + k + lane() / 16 * 8);
    }

    // results += left (rows from first_row on, Depth columns) · rightᵀ, right having a row per result column.
    template <int Depth, int Blocks>
    ADASGN_DEVICE static void multiply_transposed(Accumulators<1, Blocks>& results, const Rows<Half>& left,
                                                  int first_row, const Rows<Half>& right) {
#pragma unroll
        for (int k = 0; k < Depth; k += kBlock) {
            uint32_t a[4];
            load_left(a, left, first_row, k);
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                uint32_t b[4];
                load_matrix(b, right.row(kBlock * block + lane() / 16 * 8 + lane() % 8) + k + lane() / 8 % 2 * 8);
                multiply_add(results.values[0][block][0], a, b[0], b[1]);
                multiply_add(results.values[0][block][1], a, b[2], b[3]);
            }
        }
    }

    // This lane's part of packed blocks [Blocks][Depth / 16] in global memory.
    template <int Depth, int Blocks>
    struct Packed {
        Share shares[Blocks][Depth / kBlock];

        ADASGN_DEVICE explicit Packed(const void* packed) {
#pragma unroll
            for (int i = 0; i < Blocks * Depth / kBlock; ++i) {
                shares[i * kBlock / Depth][i % (Depth / kBlock)] =
                    load_global(static_cast<const Share*>(packed) + i * 32 + lane());
            }
        }
    };

    // results += left (rows from first_row on) · packed blocks.
    template <int Depth, int Blocks>
    ADASGN_DEVICE static void multiply_packed(Accumulators<1, Blocks>& results, const Rows<Half>& left, int first_row,
                                              const Packed<Depth, Blocks>& packed) {
#pragma unroll
        for (int k = 0; k < Depth; k += kBlock) {
            uint32_t a[4];
            load_left(a, left, first_row, k);
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                const Share& b = packed.shares[block][k / kBlock];
                multiply_add(results.values[0][block][0], a, b.x, b.y);
                multiply_add(results.values[0][block][1], a, b.z, b.w);
            }
        }
    }

    // results += left (all its rows, 16 a tile, Depth columns) · right (Depth rows, 16 columns a block from `column`
    // on).
    template <int Depth, int Tiles, int Blocks>
    ADASGN_DEVICE static void multiply_rows(Accumulators<Tiles, Blocks>& results, const Rows<Half>& left,
                                            const Rows<Half>& right, int column) {
#pragma unroll
        for (int k = 0; k < Depth; k += kBlock) {
            uint32_t a[Tiles][4];
#pragma unroll
            for (int tile = 0; tile < Tiles; ++tile) {
                load_left(a[tile], left, tile * kBlock, k);
            }
            const Half* const row = right.row(k + lane() % 16) + column + lane() / 16 * 8;
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                uint32_t b[4];
                load_matrix_transposed(b, row + block * kBlock);
#pragma unroll
                for (int tile = 0; tile < Tiles; ++tile) {
                    multiply_add(results.values[tile][block][0], a[tile], b[0], b[1]);
                    multiply_add(results.values[tile][block][1], a[tile], b[2], b[3]);
                }
            }
        }
    }
};

struct Binary32 {
    using Element = float;
    static constexpr int kBlockBytes = kBlock * kBlock * 4;
    static constexpr int kCopies = 2;  // of 16 bytes a lane, by which a warp fetches a block
    static constexpr bool kOwnShare = false;
    using Share = const float4*;  // this lane's four columns of row 0; row k is 4·k further on

    ADASGN_DEVICE static Share share(const unsigned char* block) {
        return reinterpret_cast<const float4*>(block) + lane() % 4;
    }

    ADASGN_DEVICE static float2 load_pair(const float* at) { return *reinterpret_cast<const float2*>(at); }
    ADASGN_DEVICE static void store_pair(float* at, float x, float y) { *reinterpret_cast<float2*>(at) = {x, y}; }
    ADASGN_DEVICE static void store(float* at, float x) { *at = x; }
    ADASGN_DEVICE static float2 rounded(float x, float y) { return {x, y}; }

    ADASGN_DEVICE static void add_product(float (&values)[2][4], int half_rows, float left, const float4& right) {
        float(&low)[4] = values[0];
        float(&high)[4] = values[1];
        low[2 * half_rows] += left * right.x;
        low[2 * half_rows + 1] += left * right.y;
        high[2 * half_rows] += left * right.z;
        high[2 * half_rows + 1] += left * right.w;
    }

    template <int Depth, int /*Start*/, int Tiles, int Blocks, class Weights>
    ADASGN_DEVICE static void multiply(Accumulators<Tiles, Blocks>& results, const float* left, int stride,
                                       Weights& weights) {
        const float* const row = left + lane() / 4 * stride;
#pragma unroll 1
        for (int step = 0; step < Depth; step += kBlock) {
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                const Share right = weights.next();
#pragma unroll
                for (int k = 0; k < kBlock; k += 4) {
                    float4 a[2 * Tiles];
#pragma unroll
                    for (int i = 0; i < 2 * Tiles; ++i) {
                        a[i] = *reinterpret_cast<const float4*>(row + i * 8 * stride + step + k);
                    }
#pragma unroll
                    for (int j = 0; j < 4; ++j) {
                        const float4 b = right[4 * (k + j)];
#pragma unroll
                        for (int i = 0; i < 2 * Tiles; ++i) {
                            const float x = j == 0 ? a[i].x : j == 1 ? a[i].y : j == 2 ? a[i].z : a[i].w;
                            add_product(results.values[i / 2][block], i % 2, x, b);
                        }
                    }
                }
            }
        }
    }

    template <int Depth, int Blocks>
    ADASGN_DEVICE static void multiply_transposed(Accumulators<1, Blocks>& results, const Rows<float>& left,
                                                  int first_row, const Rows<float>& right) {
        const float* const low = left.row(first_row + lane() / 4);
        const float* const high = left.row(first_row + lane() / 4 + 8);
        const int column = 2 * (lane() % 4);
#pragma unroll 4
        for (int k = 0; k < Depth; ++k) {
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                const int at = kBlock * block + column;
                const float4 b{right.row(at)[k], right.row(at + 1)[k], right.row(at + 8)[k], right.row(at + 9)[k]};
                add_product(results.values[0][block], 0, low[k], b);
                add_product(results.values[0][block], 1, high[k], b);
            }
        }
    }

    template <int Depth, int Blocks>
    struct Packed {
        const float4* blocks;

        ADASGN_DEVICE explicit Packed(const void* packed) : blocks(static_cast<const float4*>(packed) + lane() % 4) {}
    };

    template <int Depth, int Blocks>
    ADASGN_DEVICE static void multiply_packed(Accumulators<1, Blocks>& results, const Rows<float>& left, int first_row,
                                              const Packed<Depth, Blocks>& packed) {
        const float* const low = left.row(first_row + lane() / 4);
        const float* const high = left.row(first_row + lane() / 4 + 8);
#pragma unroll 4
        for (int k = 0; k < Depth; ++k) {
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                const float4 b = load_global(packed.blocks + 4 * (block * Depth + k));
                add_product(results.values[0][block], 0, low[k], b);
                add_product(results.values[0][block], 1, high[k], b);
            }
        }
    }

    template <int Depth, int Tiles, int Blocks>
    ADASGN_DEVICE static void multiply_rows(Accumulators<Tiles, Blocks>& results, const Rows<float>& left,
                                            const Rows<float>& right, int column) {
        const int at = column + 2 * (lane() % 4);
#pragma unroll 1
        for (int k = 0; k < Depth; ++k) {
            float x[2 * Tiles];
#pragma unroll
            for (int i = 0; i < 2 * Tiles; ++i) {
                x[i] = left.row(lane() / 4 + 8 * i)[k];
            }
            const float* const row = right.row(k) + at;
#pragma unroll
            for (int block = 0; block < Blocks; ++block) {
                const float2 low = load_pair(row + block * kBlock);
                const float2 high = load_pair(row + block * kBlock + 8);
#pragma unroll
                for (int i = 0; i < 2 * Tiles; ++i) {
                    add_product(results.values[i / 2][block], i % 2, x[i], {low.x, low.y, high.x, high.y});
                }
            }
        }
    }
};

}  // namespace adasgn::cuda
