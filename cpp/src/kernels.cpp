#include "detail/kernels.hpp"

#include <cstdlib>
#include <string>

#include "detail/panel_kernels.hpp"
#include "memoa/types.hpp"
#ifdef MEMOA_HAS_LEVELS
#include <cpuid.h>
#endif

namespace memoa {
namespace {

enum Level { kBaseline, kV3, kV4 };

const char* const kNames[] = {"baseline", "x86-64-v3", "x86-64-v4"};

#ifdef MEMOA_HAS_LEVELS
/// What x86-64-v3 has beyond the instructions that every compiler can ask for by name.
bool has_small_instructions() {
  constexpr unsigned kMovbe = 1U << 22, kF16c = 1U << 29, kLzcnt = 1U << 5;
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kMovbe) || !(c & kF16c)) return false;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & kLzcnt);
}
#endif

/// Feature by feature: compilers before GCC 12 and Clang 17 do not know the levels' names here.
Level best_level() {
#ifdef MEMOA_HAS_LEVELS
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                  has_small_instructions();
  if (!v3) return kBaseline;
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? kV4 : kV3;
#else
  return kBaseline;
#endif
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
