#pragma once

#include "detail/inside.hpp"
#include "detail/state_file.hpp"
#include "memoa/encoder.hpp"

// Moves memories between engines and files, block by block, so that there is never a second copy of
// an engine in memory. The classes are passed to an engine's `exchange`, like Save and Load. Its
// order is that of visit_fields, and of the arrays in a file.
namespace memoa::detail {

constexpr Index kBlock = Index{1} << 14;  // size of a block

/// Copies only the single numbers, no arrays.
struct SaveNumbers {
  void operator()(Index& field, const Index& place) const { field = place; }
  template <class... Place>
  void operator()(std::vector<double>&, const Place&...) const {}
};

/// Lists the dtype of each array, in order.
class ListTypes {
 public:
  explicit ListTypes(std::vector<const char*>& types) : types_(types) {}
  void operator()(const Index&, const Index&) const {}
  template <class Number>
  void operator()(const std::vector<double>&, const Number*, Index) const {
    types_.push_back(sizeof(Number) == 4 ? "<f4" : "<f8");
  }
  template <class View>
  void operator()(const std::vector<double>&, const View& view) const {
    types_.push_back(sizeof(view.at(0, 0)) == 4 ? "<f4" : "<f8");
  }

 private:
  std::vector<const char*>& types_;
};

class SaveArrays {
 public:
  explicit SaveArrays(StateWriter& writer) : writer_(writer) {}
  void operator()(const Index&, const Index&) const {}
  template <class Number>
  void operator()(const std::vector<double>&, const Number* place, Index size) const {
    std::vector<double> block;
    for (Index done = 0; done < size; done += static_cast<Index>(block.size())) {
      block.assign(place + done, place + done + std::min(kBlock, size - done));
      writer_.write(block.data(), block.size());
    }
  }
  template <class View>
  void operator()(const std::vector<double>&, const View& view) const {
    std::vector<double> block;
    for (Index agent = 0; agent < view.N; ++agent) {
      for (Index k = 0; k < view.size; ++k) block.push_back(view.at(k, agent));
      if (static_cast<Index>(block.size()) < kBlock && agent + 1 < view.N) continue;
      writer_.write(block.data(), block.size());
      block.clear();
    }
  }

 private:
  StateWriter& writer_;
};

/// Reads the arrays. `open_next` makes the reader open the next one, before each of them.
template <class OpenNext>
class LoadArrays {
 public:
  LoadArrays(StateReader& reader, const OpenNext& open_next)
      : reader_(reader), open_next_(open_next) {}
  void operator()(const Index& field, Index& place) const { place = field; }
  template <class Number>
  void operator()(const std::vector<double>&, Number* place, Index size) const {
    open_next_();
    std::vector<double> block;
    for (Index done = 0; done < size; done += static_cast<Index>(block.size())) {
      block.resize(static_cast<std::size_t>(std::min(kBlock, size - done)));
      reader_.read(block.data(), block.size());
      std::transform(block.begin(), block.end(), place + done,
                     [](double value) { return static_cast<Number>(value); });
    }
  }
  template <class View>
  void operator()(const std::vector<double>&, const View& view) const {
    open_next_();
    const Index agents = std::max<Index>(1, kBlock / std::max<Index>(1, view.size));
    std::vector<double> block;
    for (Index first = 0; first < view.N; first += agents) {
      const Index last = std::min(first + agents, view.N);
      block.resize(static_cast<std::size_t>((last - first) * view.size));
      reader_.read(block.data(), block.size());
      const double* value = block.data();
      for (Index agent = first; agent < last; ++agent)
        for (Index k = 0; k < view.size; ++k) {
          auto& to = view.at(k, agent);
          to = static_cast<std::decay_t<decltype(to)>>(*value++);
        }
    }
  }

 private:
  StateReader& reader_;
  const OpenNext& open_next_;
};

}  // namespace memoa::detail
