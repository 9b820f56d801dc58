#pragma once

#include "memoa/certificate.hpp"
#include "memoa/encoder.hpp"
#include "memoa/equilibrium.hpp"
#include "memoa/game.hpp"
#include "memoa/mixture.hpp"
#include "memoa/moments.hpp"
#include "memoa/nplayer.hpp"
#include "memoa/panel.hpp"
#include "memoa/population.hpp"
#include "memoa/run.hpp"
#include "memoa/simulation.hpp"
#include "memoa/types.hpp"
