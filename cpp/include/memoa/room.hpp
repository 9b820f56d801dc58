#pragma once

#include "memoa/types.hpp"

namespace memoa {

/// Throws MemoryError where a game of these sizes takes more memory than this process can have.
MEMOA_API void require_game_memory(Index horizon, Index n_outputs, Index n_features);

}  // namespace memoa
