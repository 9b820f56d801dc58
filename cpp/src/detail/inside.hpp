#pragma once

namespace memoa::detail {

/// The state inside an engine, for the functions that work on two of them.
struct Inside {
  template <class Engine>
  using State = typename Engine::State;
  template <class Engine>
  static auto& of(const Engine& engine) {
    return *engine.state_;
  }
};

}  // namespace memoa::detail
