#pragma once

// Several threads may call const members and functions of const arguments at once, while none calls
// another member of the same object. The engines' comments name the few that finish put-off work
// and count as others.

#include "memoa/certificate.hpp"
#include "memoa/encoder.hpp"
#include "memoa/ensemble.hpp"
#include "memoa/equilibrium.hpp"
#include "memoa/federated.hpp"
#include "memoa/game.hpp"
#include "memoa/interrupt.hpp"
#include "memoa/interval.hpp"
#include "memoa/mixture.hpp"
#include "memoa/moments.hpp"
#include "memoa/nplayer.hpp"
#include "memoa/panel.hpp"
#include "memoa/past.hpp"
#include "memoa/population.hpp"
#include "memoa/room.hpp"
#include "memoa/run.hpp"
#include "memoa/saved.hpp"
#include "memoa/shard.hpp"
#include "memoa/simulation.hpp"
#include "memoa/types.hpp"
