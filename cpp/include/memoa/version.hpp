#pragma once

/// The version of these headers. It is written only here: CMake and the Python package read it.
#define MEMOA_VERSION "0.1.0"
#define MEMOA_VERSION_MAJOR 0
#define MEMOA_VERSION_MINOR 1
#define MEMOA_VERSION_PATCH 0
