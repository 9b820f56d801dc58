#pragma once

#include <string>
#include <variant>
#include <vector>

#include "memoa/panel.hpp"
#include "memoa/run.hpp"

namespace memoa {

/// Writes all that a population and its server have learnt to one file: a NumPy npz with a JSON
/// header and checksums. The file contains nothing executable. It is first written under another
/// name beside `path`, and renamed when it is complete and on the disk. So `path` is always either
/// the old file or the new one.
///
/// `pending` is the x last predicted if its y shall be learnt after loading, otherwise empty.
/// `note` is the text of a JSON value, which is stored unchanged. The engines first finish the last
/// step, so no other thread may call them during the call.
///
/// Throws std::filesystem::filesystem_error if the system cannot write the file.
template <class Real>
MEMOA_API void save(const std::string& path, const BasicPopulation<Real>& population,
                    const BasicServerMixture<Real>& mixture,
                    const std::vector<double>& pending = {}, const std::string& note = "null");

/// A population and its server, in double or single precision.
template <class Real>
struct SavedEngines {
  BasicPopulation<Real> population;
  BasicServerMixture<Real> mixture;
};
struct Saved {
  std::variant<SavedEngines<double>, SavedEngines<float>> engines;
  std::vector<double> pending;  ///< as passed to `save`; it is predicted again
  std::string header;           ///< text of the JSON header; the note is its member "note"
};

/// Reads what `save` wrote. The engines continue with the same bits, on any number of threads and
/// any x86-64 processor. `n_threads` is as in PopulationSettings; a negative number means as saved.
///
/// Throws std::invalid_argument, with one line that names the file, if the file contains anything
/// else. Sizes in the file are compared with its length before they are used.
MEMOA_API Saved load(const std::string& path, int n_threads = -1);

/// The same for a panel, with the inputs last predicted.
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
