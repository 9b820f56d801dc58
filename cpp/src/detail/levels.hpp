#pragma once

#include <cstdint>

// Loops over many agents are compiled for three instruction sets, and the loader chooses the widest
// one that the processor has. Contraction is off and no sum is reordered, so all give the same
// bits. Other compilers and C libraries use the plain loops.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#if __GNUC__ >= 12 && !defined(__SANITIZE_ADDRESS__)
#define MEMOA_EVERY_LEVEL \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#endif
#endif
#ifndef MEMOA_EVERY_LEVEL
#define MEMOA_EVERY_LEVEL
#endif
