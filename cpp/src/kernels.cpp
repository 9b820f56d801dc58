#include "detail/kernels.hpp"

#include <cstdlib>
#include <string>

#include "detail/panel_kernels.hpp"
#include "memoa/types.hpp"

namespace memoa {
namespace {

enum Level { kBaseline, kV3, kV4 };

const char* const kNames[] = {"baseline", "x86-64-v3", "x86-64-v4"};

Level best_level() {
#ifdef MEMOA_HAS_LEVELS
  if (__builtin_cpu_supports("x86-64-v4")) return kV4;
  if (__builtin_cpu_supports("x86-64-v3")) return kV3;
#endif
  return kBaseline;
}

Level chosen_level() {
  const Level best = best_level();
  const char* wanted = std::getenv("MEMOA_INSTRUCTION_SET");
  if (wanted == nullptr || *wanted == '\0') return best;
  for (int level = 0; level <= best; ++level)
    if (kNames[level] == std::string(wanted)) return static_cast<Level>(level);
  std::string usable;
  for (int level = 0; level <= best; ++level)
    usable += (level ? ", " : "") + std::string(kNames[level]);
  throw std::invalid_argument("MEMOA_INSTRUCTION_SET is '" + std::string(wanted) +
                              "'; expected one that this processor has: " + usable);
}

}  // namespace

std::string instruction_set() { return kNames[chosen_level()]; }

namespace detail {
namespace {

template <class Table>
const Table& choose(const Table* const (&levels)[3]) {
  return *levels[chosen_level()];
}

}  // namespace

#ifdef MEMOA_HAS_LEVELS
#define MEMOA_LEVELS_OF(kernels) \
  { &baseline::kernels, &v3::kernels, &v4::kernels }
#else  // the best level is the plain one
#define MEMOA_LEVELS_OF(kernels) \
  { &baseline::kernels, nullptr, nullptr }
#endif

template <>
const Kernels<double>& kernels<double>() {
  return choose<Kernels<double>>(MEMOA_LEVELS_OF(kernels_f64));
}

template <>
const Kernels<float>& kernels<float>() {
  return choose<Kernels<float>>(MEMOA_LEVELS_OF(kernels_f32));
}

template <>
const PanelKernels<double>& panel_kernels<double>() {
  return choose<PanelKernels<double>>(MEMOA_LEVELS_OF(panel_kernels_f64));
}

template <>
const PanelKernels<float>& panel_kernels<float>() {
  return choose<PanelKernels<float>>(MEMOA_LEVELS_OF(panel_kernels_f32));
}

}  // namespace detail
}  // namespace memoa
