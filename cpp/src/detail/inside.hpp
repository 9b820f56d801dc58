#pragma once

#include <type_traits>
#include <utility>

namespace memoa::detail {

/// The state inside an engine, for the functions that work on two of them.
struct Inside {
  template <class Engine>
  static auto& of(const Engine& engine) {
    return *engine.state_;
  }
  /// By way of the function: Clang 14 grants an alias no friendship.
  template <class Engine>
  using State = std::remove_reference_t<decltype(of(std::declval<const Engine&>()))>;
};

}  // namespace memoa::detail
