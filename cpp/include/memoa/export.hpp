#pragma once

// What a shared memoa shows to programs: MEMOA_SHARED is defined by its CMake target, and
// MEMOA_BUILDING while the library itself is compiled.
#if defined(_WIN32) && defined(MEMOA_SHARED)
#ifdef MEMOA_BUILDING
#define MEMOA_API __declspec(dllexport)
#else
#define MEMOA_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define MEMOA_API __attribute__((visibility("default")))
#else
#define MEMOA_API
#endif
