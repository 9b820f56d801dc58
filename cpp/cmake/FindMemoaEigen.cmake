# Finds Eigen >= 3.4: a parent project's own, else where CMake looks by itself, else the headers that the package cmeel-eigen
# carries inside a Python environment.
include(FindPackageHandleStandardArgs)

if(TARGET Eigen3::Eigen)  # of the project that memoa is a part of
  set(MemoaEigen_FOUND TRUE)
  if(NOT Eigen3_VERSION)
    set(Eigen3_VERSION "of the parent project")
  endif()
  return()
endif()

# A macro, because find_package must set its results where this file is included. Two version
# numbers, because 5 is not "3.4 or compatible"; a version that is refused imports no target.
macro(_memoa_find_eigen)
  foreach(_memoa_version 3.4 5.0)
    if(NOT Eigen3_FOUND)
      find_package(Eigen3 ${_memoa_version} CONFIG QUIET ${ARGN})
    endif()
  endforeach()
endmacro()

_memoa_find_eigen()
if(NOT Eigen3_FOUND)
  if(Python_EXECUTABLE)
    set(_memoa_python "${Python_EXECUTABLE}")
  else()
    find_program(_memoa_python NAMES python3 python)
  endif()
  if(_memoa_python)
    execute_process(
      COMMAND "${_memoa_python}" -c
        "from importlib.metadata import distribution as d; print(d('cmeel-eigen').locate_file('cmeel.prefix').as_posix())"
      OUTPUT_VARIABLE _memoa_cmeel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(_memoa_cmeel)
      _memoa_find_eigen(HINTS "${_memoa_cmeel}")
    endif()
  endif()
  unset(_memoa_python CACHE)  # another environment may be active the next time
endif()

if(NOT Eigen3_FOUND)
  unset(Eigen3_DIR CACHE)
  unset(Eigen3_DIR)
endif()
find_package_handle_standard_args(MemoaEigen
  REQUIRED_VARS Eigen3_DIR
  VERSION_VAR Eigen3_VERSION
  REASON_FAILURE_MESSAGE
    "memoa needs Eigen >= 3.4: install libeigen3-dev, or `pip install cmeel-eigen` in the active environment, or pass -DEigen3_DIR=<folder of Eigen3Config.cmake>")
