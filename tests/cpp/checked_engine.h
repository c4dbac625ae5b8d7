// An engine whose guard zones are looked at when it goes: weights, activations and every worker's scratch.
#pragma once

#include <doctest/doctest.h>

#include "adasgn/engine.h"

namespace adasgn::testing {

class CheckedEngine : public Engine {
  public:
    using Engine::Engine;
    CheckedEngine(const CheckedEngine&) = delete;
    CheckedEngine& operator=(const CheckedEngine&) = delete;
    ~CheckedEngine() { CHECK(buffers_intact()); }
};

}  // namespace adasgn::testing
