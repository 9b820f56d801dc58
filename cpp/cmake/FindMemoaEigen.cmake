# Finds Eigen >= 3.4: a system package first, else the headers that the build requirement
# cmeel-eigen carries inside a Python environment.
find_package(Eigen3 CONFIG QUIET)
if(Eigen3_FOUND AND Eigen3_VERSION VERSION_LESS 3.4)
  message(STATUS "Eigen ${Eigen3_VERSION} is too old; looking for another")
  unset(Eigen3_DIR CACHE)
  set(Eigen3_FOUND FALSE)
endif()
if(NOT Eigen3_FOUND)
  if(NOT Python_EXECUTABLE)
    find_package(Python COMPONENTS Interpreter)
  endif()
  if(Python_EXECUTABLE)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -c
        "from importlib.metadata import distribution as d; print(d('cmeel-eigen').locate_file('cmeel.prefix').as_posix())"
      OUTPUT_VARIABLE _cmeel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  find_package(Eigen3 CONFIG HINTS ${_cmeel})
endif()
if(NOT Eigen3_FOUND OR Eigen3_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR
    "memoa needs Eigen >= 3.4: install libeigen3-dev, or `pip install cmeel-eigen`, or pass "
    "-DEigen3_DIR=<folder of Eigen3Config.cmake>")
endif()
message(STATUS "Eigen ${Eigen3_VERSION} in ${Eigen3_DIR}")
set(MemoaEigen_FOUND TRUE)
