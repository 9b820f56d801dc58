#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "memoa/types.hpp"

// The only array types of the bindings. Python has already refused wrong dtypes and widened the
// rest (memoa._validate), so nothing is converted here: `noconvert` arguments see the caller's
// memory.
namespace memoa::python {

namespace py = pybind11;
using Array = py::array_t<double, py::array::c_style>;
using IndexArray = py::array_t<Index, py::array::c_style>;
using Flags = py::array_t<unsigned char, py::array::c_style>;

/// No heap where it holds: steps that cannot fail half-way call it.
inline void require_shape(const char* name, const py::array& array, const Index* expected,
                          std::size_t n_expected) {
  bool same = array.ndim() == static_cast<py::ssize_t>(n_expected);
  for (std::size_t k = 0; same && k < n_expected; ++k)
    same = array.shape(static_cast<py::ssize_t>(k)) == expected[k];
  if (same) return;
  const auto text = [](const py::ssize_t* shape, std::size_t n) {
    std::string out = "(";
    for (std::size_t k = 0; k < n; ++k) out += (k ? ", " : "") + std::to_string(shape[k]);
    return out + (n == 1 ? ",)" : ")");
  };
  throw std::invalid_argument(std::string(name) + " has shape " +
                              text(array.shape(), static_cast<std::size_t>(array.ndim())) +
                              "; expected " + text(expected, n_expected));
}
inline void require_shape(const char* name, const py::array& array, const Shape& expected) {
  require_shape(name, array, expected.data(), expected.size());
}
inline void require_shape(const char* name, const py::array& array,
                          std::initializer_list<Index> expected) {
  require_shape(name, array, expected.begin(), expected.size());
}

inline std::vector<double> to_vector(const Array& array) {
  return {array.data(), array.data() + array.size()};
}

/// A read-only array on memory that lives as long as `owner`.
inline Array view(const std::vector<double>& values, const Shape& shape, py::handle owner) {
  Array array(shape, values.data(), owner);
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

/// A new array that owns a copy of the values. (pybind11's own copy may be null, without an error.)
inline Array copy(const double* values, const Shape& shape) {
  Array made(shape);
  std::copy_n(values, made.size(), made.mutable_data());
  return made;
}

/// A mutex that a forked child can go on with: the thread that held it may not exist there. What
/// that thread was at work on is half done then, and the child is told so.
class Mutex {
 public:
  void lock() {
    renew();
    if (owner_.load() == std::this_thread::get_id())
      throw std::runtime_error(
          "this is at work already, in this very thread; expected no call from a signal handler "
          "that interrupted it");
    mutex_->lock();
    owner_ = std::this_thread::get_id();
    busy_ = true;
  }
  bool try_lock() {
    renew();
    if (!mutex_->try_lock()) return false;
    owner_ = std::this_thread::get_id();
    return busy_ = true;
  }
  void unlock() {
    busy_ = false;
    owner_ = std::thread::id();
    mutex_->unlock();
  }

 private:
  void renew() {
    if (forks_ == forks()) return;
    if (busy_)
      throw std::runtime_error(
          "another thread was at work on this when the process was forked, and what it did is half "
          "done here; expected a fork between calls, or one that loads a saved state");
    mutex_.release();  // never destroyed: it may be locked by a thread of the parent
    mutex_ = std::make_unique<std::mutex>();
    forks_ = forks();
  }

  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::atomic<bool> busy_{false};
  std::atomic<std::thread::id> owner_{};
  unsigned forks_ = forks();
};

/// An engine, in double or in single precision, with the lock that keeps two Python threads from
/// running it at once, since the GIL is released while it computes.
template <class Double, class Single>
struct Locked {
  std::variant<Double, Single> engine;
  Mutex mutex;

  template <class... Args>
  explicit Locked(bool single, const Args&... args)
      : engine(single ? std::variant<Double, Single>(std::in_place_index<1>, args...)
                      : std::variant<Double, Single>(std::in_place_index<0>, args...)) {}
  explicit Locked(std::variant<Double, Single>&& loaded) : engine(std::move(loaded)) {}

  /// Runs body(engine) without the GIL. Safe: the body touches no Python object, only memory of
  /// arrays that the caller holds.
  template <class Body>
  auto compute(const Body& body) {
    py::gil_scoped_release release;
    const std::lock_guard<Mutex> guard(mutex);
    return std::visit(body, engine);
  }
  /// The same for body(engine, lock), which may let others at the engine meanwhile.
  template <class Body>
  auto compute_in_turns(const Body& body) {
    py::gil_scoped_release release;
    std::unique_lock<Mutex> lock(mutex);
    return std::visit([&](auto& own) { return body(own, lock); }, engine);
  }
  /// body(engine) for a glance at what no computation changes.
  template <class Body>
  decltype(auto) look(const Body& body) const {
    return std::visit(body, engine);
  }
};

/// A new array of the shape, which write(engine, data) fills.
template <class Engine, class Write>
Array filled(Engine& locked, const Shape& shape, const Write& write) {
  Array out(shape);
  double* data = out.mutable_data();
  locked.compute([&](auto& engine) { write(engine, data); });
  return out;
}

void bind_federated(py::module_& module);
void bind_game(py::module_& module);
void bind_certificate(py::module_& module);
void bind_ensemble(py::module_& module);
void bind_equilibrium(py::module_& module);
void bind_interval(py::module_& module);
void bind_mixture(py::module_& module);
void bind_moments(py::module_& module);
void bind_nplayer(py::module_& module);
void bind_panel(py::module_& module);
void bind_population(py::module_& module);
void bind_shard(py::module_& module);
void bind_simulation(py::module_& module);

}  // namespace memoa::python
