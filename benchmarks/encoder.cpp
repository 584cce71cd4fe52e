// SPDX-License-Identifier: Apache-2.0
// A plain encoder of a gather's TXN stream, version 0.1, as one would write it from the format's
// description: a vector of words, one function per op. benchmarks/test_plan.py compares it with
// bdgen's writer. Word layouts: mlir-aie include/aie/Runtime/TxnEncoding.h; shim BD: aie-rt
// xaiemlgbl_params.h, NOC_MODULE_DMA_BD0_0..7.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum { FIRST, RUN, COUNT, STEP, OUTER, OUTER_STEP, REPEAT, REPEAT_STEP, PIECE };
enum { CHAIN_FIRST, CHAIN_COUNT, CHAIN_REPEAT, CHAIN };
enum { FIRST_CHAIN, END_CHAIN, ROWS, NBYTES, DST, PAD, LANE };

struct Machine {
    int64_t columns, channels, together, half[2], row_words, wrap, burst, axcache;
    int64_t arg, output_arg, device_columns, generation;
};

struct Bd {
    uint32_t words[8];
};

struct Patch {
    uint32_t bd, arg;
    uint64_t offset;
};

class Encoder {
  public:
    Encoder(const Machine &machine, const int32_t *pieces, const int64_t *chains,
            const int64_t *lanes)
        : m(machine), pieces(pieces), chains(chains), lanes(lanes) {}

    const std::vector<uint32_t> &encode() {
        words = {uint32_t(6 << 24 | m.generation << 16 | 1 << 8),
                 uint32_t(1 << 8 | m.device_columns), 0, 0};
        int64_t rounds = 0;
        for (int64_t lane = 0; lane < m.columns * m.channels; lane++)
            rounds = std::max(rounds, lanes[lane * LANE + END_CHAIN] - chain_of(lane));
        for (int64_t nth = 0; nth < rounds; nth++)
            for (int64_t column = 0; column < m.columns; column++)
                round(column, nth);
        wait(0, m.columns, 0, 0);
        words[2] = ops;
        words[3] = uint32_t(words.size() * 4);
        return words;
    }

  private:
    const Machine &m;
    const int32_t *pieces;
    const int64_t *chains, *lanes;
    std::vector<uint32_t> words;
    uint32_t ops = 0;

    int64_t chain_of(int64_t lane) const { return lanes[lane * LANE + FIRST_CHAIN]; }
    bool has(int64_t lane, int64_t nth) const {
        return chain_of(lane) + nth < lanes[lane * LANE + END_CHAIN];
    }
    uint32_t first_send(int64_t channel, int64_t nth) const {
        int64_t before = nth % 2 ? m.channels * m.half[0] : 0;
        return uint32_t(m.channels + before + channel * m.half[nth % 2]);
    }
    static uint32_t bd_address(int64_t column, uint32_t bd) {
        return uint32_t(column << 25) | (0x1D000 + 0x20 * bd);
    }

    void block_write(uint32_t address, const std::vector<Bd> &bds) {
        words.insert(words.end(), {1, 0, address, uint32_t(4 * (4 + 8 * bds.size()))});
        for (const Bd &bd : bds)
            words.insert(words.end(), bd.words, bd.words + 8);
        ops++;
    }
    void patch(int64_t column, const Patch &p) {
        words.insert(words.end(), {129, 48, 0, 0, 0, 0, bd_address(column, p.bd) + 4, 0, p.arg, 0,
                                   uint32_t(p.offset), 0});
        ops++;
    }
    void write(uint32_t address, uint32_t value) {
        words.insert(words.end(), {0, 0, address, 0, value, 24});
        ops++;
    }
    void mask_write(uint32_t address, uint32_t value, uint32_t mask) {
        words.insert(words.end(), {3, 0, address, 0, value, mask, 28});
        ops++;
    }
    void wait(int64_t from, int64_t to, int64_t nth, uint32_t direction) {
        for (int64_t channel = 0; channel < m.channels; channel++)
            for (int64_t first = from; first < to;) {
                int64_t end = first;
                while (end < to && has(end * m.channels + channel, nth))
                    end++;
                if (end > first) {
                    words.insert(words.end(),
                                 {128, 16, uint32_t(first << 16 | direction),
                                  uint32_t(1 << 8 | (end - first) << 16 | channel << 24)});
                    ops++;
                }
                first = end + 1;
            }
    }

    Bd gather(const int32_t *p, uint32_t bd, bool linked) const {
        int64_t count = p[COUNT], step = p[STEP], outer = p[OUTER];
        if (count == 1) {
            count = outer;
            step = p[OUTER_STEP];
            outer = 1;
        }
        int64_t block = p[RUN] * m.row_words;
        uint32_t d0 = 0, d1 = uint32_t(m.burst), d2 = uint32_t(m.axcache), iteration = 0;
        if (count > 1 && block <= 1023) {
            d0 = uint32_t(block << 20);
            d1 |= uint32_t((count <= 1023 ? count : 0) << 20 | (step * m.row_words - 1));
            d2 |= uint32_t(outer > 1 ? p[OUTER_STEP] * m.row_words - 1 : 0);
        } else if (count > 1) {
            d0 = uint32_t(m.wrap << 20);
            d1 |= uint32_t((block / m.wrap) << 20 | (m.wrap - 1));
            d2 |= uint32_t(step * m.row_words - 1);
        }
        if (p[REPEAT] > 1)
            iteration = uint32_t((p[REPEAT] - 1) << 20 | (p[REPEAT_STEP] * m.row_words - 1));
        return {{uint32_t(block * count * outer), uint32_t(p[FIRST] * m.row_words * 4), 0, d0, d1,
                 d2, iteration, tail(bd, linked)}};
    }
    static uint32_t tail(uint32_t bd, bool linked) {
        return 1u << 25 | (linked ? 1u << 26 | (bd + 1) << 27 : 0);
    }

    void round(int64_t column, int64_t nth) {
        if (nth >= 2 && column % m.together == 0)
            wait(column, std::min(column + m.together, m.columns), nth, 1);
        std::vector<Bd> bds;
        std::vector<Patch> patches;
        uint32_t first = 0, following = 0;
        auto add = [&](uint32_t bd, const Bd &made, uint32_t arg, uint64_t offset) {
            if (!bds.empty() && bd != following) {
                block_write(bd_address(column, first), bds);
                bds.clear();
            }
            if (bds.empty())
                first = bd;
            bds.push_back(made);
            patches.push_back({bd, arg, offset});
            following = bd + 1;
        };
        for (int64_t channel = 0; channel < m.channels && nth == 0; channel++) {
            const int64_t *lane = lanes + (column * m.channels + channel) * LANE;
            if (!has(column * m.channels + channel, 0))
                continue;
            Bd receive = {{uint32_t(lane[NBYTES] / 4), uint32_t(lane[DST]), 0, 0,
                           uint32_t(m.burst), uint32_t(m.axcache), 0, tail(uint32_t(channel), false)}};
            add(uint32_t(channel), receive, uint32_t(m.output_arg), uint64_t(lane[DST]));
        }
        for (int64_t channel = 0; channel < m.channels; channel++) {
            int64_t lane = column * m.channels + channel;
            if (!has(lane, nth))
                continue;
            const int64_t *chain = chains + (chain_of(lane) + nth) * CHAIN;
            for (int64_t which = 0; which < chain[CHAIN_COUNT]; which++) {
                const int32_t *piece = pieces + (chain[CHAIN_FIRST] + which) * PIECE;
                uint32_t bd = first_send(channel, nth) + uint32_t(which);
                add(bd, gather(piece, bd, which + 1 < chain[CHAIN_COUNT]), uint32_t(m.arg),
                    uint64_t(piece[FIRST]) * m.row_words * 4);
            }
        }
        if (!bds.empty())
            block_write(bd_address(column, first), bds);
        for (const Patch &p : patches)
            patch(column, p);
        for (int64_t channel = 0; channel < m.channels; channel++)
            push(column, channel, nth);
    }

    void push(int64_t column, int64_t channel, int64_t nth) {
        int64_t lane = column * m.channels + channel;
        if (!has(lane, nth))
            return;
        uint32_t base = uint32_t(column << 25), s2mm = 0x1D200 + 8 * uint32_t(channel);
        uint32_t mm2s = s2mm + 0x10;
        bool token = has(lane, nth + 2);
        uint32_t repeat = uint32_t(chains[(chain_of(lane) + nth) * CHAIN + CHAIN_REPEAT]);
        if (nth == 0 && token)
            mask_write(base | mm2s, 0xF00, 0x1F00);
        write(base | (mm2s + 4),
              first_send(channel, nth) | (repeat - 1) << 16 | (token ? 1u << 31 : 0));
        if (nth == 0) {
            mask_write(base | s2mm, 0xF00, 0x1F00);
            write(base | (s2mm + 4), uint32_t(channel) | 1u << 31);
        }
    }
};

} // namespace

extern "C" int64_t encode(const Machine *machine, const int32_t *pieces, const int64_t *chains,
                          const int64_t *lanes, uint32_t *out) {
    Encoder encoder(*machine, pieces, chains, lanes);
    const std::vector<uint32_t> &words = encoder.encode();
    std::memcpy(out, words.data(), words.size() * 4);
    return int64_t(words.size());
}
