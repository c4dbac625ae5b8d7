// Which process something belongs to. After fork a child has its parent's memory but none of its threads and nothing of
// its GPU, so an engine serves only the process that loaded it; all that others may do is let it go.
#pragma once

#include <sys/types.h>

namespace adasgn {

// The process in which this object was made. Copied or moved it stays that one.
class OwnProcess {
  public:
    OwnProcess();

    // Whether this is that process.
    bool here() const noexcept;
    // Throws Error (engine) that says what to do unless it is.
    void expect_here() const;

  private:
    pid_t id_;
    unsigned forks_;
};

}  // namespace adasgn
