#include <cerrno>
#include <filesystem>

#include "arrays.hpp"
#include "detail/missing.hpp"
#include "memoa/interrupt.hpp"

namespace py = pybind11;

namespace memoa::python {
namespace {

std::vector<Index> shape_of(const Array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

std::atomic<unsigned long> main_thread{0};

/// Runs Python's signal handlers where they are due; throws what they raise. They run on the main
/// thread, and no other asks for the GIL of an interpreter that may be ending.
void check_signals() {
  if (PyThread_get_thread_ident() != main_thread) return;
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace
}  // namespace memoa::python

PYBIND11_MODULE(_core, module) {
  using namespace memoa;
  using namespace memoa::python;
  module.doc() =
      "The compiled core of memoa. Use the package `memoa`, which validates and documents.";

  py::register_exception<NumericalError>(module, "NumericalError",
                                         py::module_::import("numpy.linalg").attr("LinAlgError"));
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::filesystem::filesystem_error& error) {
      errno = error.code().value();
      const auto& path = error.path2().empty() ? error.path1() : error.path2();
      PyErr_SetFromErrnoWithFilename(PyExc_OSError, path.string().c_str());
    }
  });
  main_thread =
      py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
  set_interrupt_check(&check_signals);
  module.def("available_threads", &available_threads);
  module.def("instruction_set", &instruction_set);
  // OpenMP's workers do not survive a fork: a forked child computes on one thread.
  if (const auto os = py::module_::import("os"); py::hasattr(os, "register_at_fork"))
    os.attr("register_at_fork")(py::arg("after_in_child") = py::cpp_function(&use_one_thread_only));
  module.def(
      "require_finite",
      [](const char* name, const Array& array) {
        require_finite(name, array.data(), shape_of(array));
      },
      py::arg("name"), py::arg("array").noconvert());
  module.def(
      "require_moderate",
      [](const char* name, const Array& array, bool single, bool may_miss) {
        const double largest = single ? kLargest<float> : kLargest<double>;
        if (may_miss)
          detail::require_moderate_or_missing(name, array.data(), shape_of(array), largest);
        else
          require_moderate(name, array.data(), shape_of(array), largest);
      },
      py::arg("name"), py::arg("array").noconvert(), py::arg("single") = false,
      py::arg("may_miss") = false);
  module.def("build", [] {
    py::dict build;
#if defined(__clang__)
    build["compiler"] = "clang " __clang_version__;
#elif defined(__GNUC__)
    build["compiler"] = "gcc " __VERSION__;
#elif defined(_MSC_VER)
    build["compiler"] = "msvc " + std::to_string(_MSC_VER);
#else
    build["compiler"] = "unknown";
#endif
    build["eigen"] = MEMOA_EIGEN_VERSION;
#ifdef _OPENMP
    build["openmp"] = std::to_string(_OPENMP / 100) + "-" + std::to_string(_OPENMP % 100);
#else
    build["openmp"] = "no";
#endif
    return build;
  });

  python::bind_shard(module);
  python::bind_game(module);
  python::bind_equilibrium(module);
  python::bind_nplayer(module);
  python::bind_certificate(module);
  python::bind_simulation(module);
  python::bind_moments(module);
  python::bind_interval(module);
  python::bind_mixture(module);
  python::bind_population(module);
  python::bind_ensemble(module);
  python::bind_panel(module);
  python::bind_federated(module);
}
