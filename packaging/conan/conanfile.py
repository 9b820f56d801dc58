"""The C++ library for Conan 2: ``conan create packaging/conan`` from a checkout."""

import re
from pathlib import Path

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy

ROOT = Path(__file__).resolve().parents[2]


class Memoa(ConanFile):
    name = "memoa"
    license = "Apache-2.0"
    description = "Decentralized mean-field Nash policies for populations of online forecasters"
    topics = ("online forecasting", "mean-field games", "federated learning")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False]}  # noqa: RUF012
    default_options = {"shared": False}  # noqa: RUF012

    def set_version(self) -> None:
        header = ROOT / "cpp" / "include" / "memoa" / "version.hpp"
        if header.exists():
            self.version = re.search(r'MEMOA_VERSION "([\d.]+)"', header.read_text())[1]

    def export_sources(self) -> None:
        for name in ("CMakeLists.txt", "LICENSE", "cpp/*"):
            copy(self, name, str(ROOT), self.export_sources_folder)

    def requirements(self) -> None:
        self.requires("eigen/[>=3.4 <6]", visible=False)

    def layout(self) -> None:
        cmake_layout(self)

    def generate(self) -> None:
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["MEMOA_BUILD_TESTS"] = False
        toolchain.generate()

    def build(self) -> None:
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self) -> None:
        CMake(self).install()

    def package_info(self) -> None:
        self.cpp_info.libs = ["memoa"]
        self.cpp_info.set_property("cmake_file_name", "memoa")
        self.cpp_info.set_property("cmake_target_name", "memoa::memoa")
        if self.settings.os == "Linux":
            self.cpp_info.sharedlinkflags = ["-fopenmp"]
            self.cpp_info.exelinkflags = ["-fopenmp"]
