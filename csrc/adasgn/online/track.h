// One track: its last frames, its grid, and what its newest grid frame looks like to a branch. It stands in a place of
// a table, which serves other tracks before and after it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "adasgn/model.h"
#include "adasgn/online/decisions.h"
#include "adasgn/online/idle_gate.h"
#include "adasgn/online/joint_memory.h"
#include "adasgn/online/running_median.h"
#include "adasgn/online/time_grid.h"

namespace adasgn::online {

struct TrackRules {
    JointRules joints;
    std::optional<std::array<int, 2>> scale_bone;
    std::int64_t step;
    float max_speed;  // of the origin joint, units of scale a second; 0: any
    int lead;
    int window;  // grid frames, lead + T
};

class Track {
  public:
    Track(const TrackRules& rules, const Decisions& own_decisions, const IdleGate& own_gate);

    // What a frame did. To a track that is not live, or of which this is another body, it is the first frame of a new
    // beginning. Every due step of one must be taken before the next one is received.
    enum class Reception { unusable, followed, began, other_body_began, other_body_unusable };
    Reception receive(std::int64_t stamp, const float* joints);

    // Makes the next due instant the newest grid frame. False where it lies too far away to be computed with: the track
    // must be lost.
    bool due() const { return live() && grid_.due(); }
    bool take_step(GridStep& step);

    // The newest grid frame as its branches see it, (V, 3) each, once has_input().
    bool has_input() const { return grid_frame_count_ > rules_.lead; }
    void input(const Description& description, float* current, float* previous);

    void take_place(std::int64_t id);  // begins with the first frame
    void lose() { place_ = Place::lost; }
    void leave_place() { place_ = Place::free; }

    bool free() const { return place_ == Place::free; }
    bool live() const { return place_ == Place::live; }
    bool ready() const { return live() && grid_frame_count_ >= rules_.window; }
    std::int64_t id() const { return id_; }
    std::int64_t received() const { return received_; }  // stamp of the newest usable frame
    bool is_news(std::int64_t stamp) const { return !received_any_ || stamp > received_; }
    int filled_joints() const { return filled_; }        // of that frame
    float interpolated() const;                          // share of the window's grid frames
    std::int64_t open_before(std::int64_t stamp) const;  // instants since its last frame, up to a new beginning there

    Decisions decisions;
    IdleGate gate;
    std::int64_t gesture = 0;  // the one that goes on, by the numbers that all tracks share; 0: none

  private:
    enum class Place { free, live, lost };

    bool begin(std::int64_t stamp, const float* joints);
    bool within_reach(const float* joints, double scale) const;
    bool moved_too_fast(std::int64_t stamp) const;
    bool scale_bone_seen(const float* joints) const;
    double scale_length(const double* joints) const;
    std::size_t grid_row(std::int64_t frame) const;

    TrackRules rules_;
    std::size_t floats_;  // of a frame
    Place place_ = Place::free;
    std::int64_t id_ = 0;
    bool received_any_ = false;
    std::int64_t received_ = 0;
    int filled_ = 0;
    JointMemory memory_;
    TimeGrid grid_;
    RunningMedian scale_;
    std::vector<float> older_;  // (V_r, 3): the last two frames, complete, and one that arrives
    std::vector<float> newer_;
    std::vector<float> arriving_;
    std::vector<double> between_;             // (V_r, 3)
    std::int64_t grid_frame_count_ = 0;       // since it began
    std::vector<float> grid_frames_;          // (lead + 1, V_r, 3), in units of scale; a ring
    std::vector<const float*> recent_;        // (lead + 1,): the ring from the oldest on
    std::vector<std::uint8_t> interpolated_;  // (lead + T,): whether; a ring
    int interpolated_count_ = 0;
};

}  // namespace adasgn::online
