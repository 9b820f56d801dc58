# cmake -DNM=... -DARCHIVE=... -P symbols.cmake: no function of Eigen leaves the library by its own
# name, where a program that has its own Eigen could be given ours.
execute_process(COMMAND "${NM}" "${ARCHIVE}" OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed OR NOT symbols MATCHES "5memoa")
  message(FATAL_ERROR "${NM} does not show the symbols of ${ARCHIVE}")
endif()
string(REGEX MATCHALL "[^\n]*N[A-Z]*5Eigen[^\n]*" found "${symbols}")
list(LENGTH found count)
if(count)
  list(GET found 0 first)
  message(FATAL_ERROR "${count} symbols of Eigen leave ${ARCHIVE}, the first one is ${first}")
endif()
