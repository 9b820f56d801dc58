#pragma once

#include "memoa/encoder.hpp"
#include "memoa/equilibrium.hpp"
#include "memoa/game.hpp"
#include "memoa/mixture.hpp"
#include "memoa/population.hpp"
#include "memoa/types.hpp"
