#pragma once

#include <string>
#include <variant>
#include <vector>

#include "memoa/panel.hpp"
#include "memoa/run.hpp"

namespace memoa {

/// Writes all that a population and its server learnt to one file, a NumPy npz with a JSON header
/// and checksums. It holds nothing executable. It is written beside `path`, and takes that name
/// once it is whole and on the disk: whatever happens, `path` is the old file or the new one.
///
/// `pending` is the x last predicted where it shall be learnt after loading, else empty. `note` is
/// the text of a JSON value that is kept as it is. The engines first finish what they put off: no
/// other thread calls them meanwhile.
/// Throws std::filesystem::filesystem_error where the system fails.
template <class Real>
MEMOA_API void save(const std::string& path, const BasicPopulation<Real>& population,
                    const BasicServerMixture<Real>& mixture,
                    const std::vector<double>& pending = {}, const std::string& note = "null");

/// A population and its server, in double or in single precision.
template <class Real>
struct SavedEngines {
  BasicPopulation<Real> population;
  BasicServerMixture<Real> mixture;
};
struct Saved {
  std::variant<SavedEngines<double>, SavedEngines<float>> engines;
  std::vector<double> pending;  ///< as given to `save`; it is predicted again
  std::string header;           ///< text of the JSON header, with the note under "note"
};

/// What `save` wrote, which goes on with the same bits on any number of threads and any x86-64
/// processor. `n_threads` as in PopulationSettings; less than 0 means as saved.
/// Throws std::invalid_argument, in one line that names the file, for whatever else the file holds;
/// no size in it is believed before the file has been seen to be that long.
MEMOA_API Saved load(const std::string& path, int n_threads = -1);

/// The same of a panel, with the inputs last predicted; no other thread calls it meanwhile.
template <class Real>
MEMOA_API void save(const std::string& path, const BasicPanel<Real>& panel,
                    const std::vector<double>& pending = {}, const std::string& note = "null");

struct SavedPanel {
  std::variant<Panel, PanelF32> panel;
  std::vector<double> pending;
  std::string header;
};
MEMOA_API SavedPanel load_panel(const std::string& path, int n_threads = -1);

}  // namespace memoa
