# One layout for `cmake --install` and for the wheel, where everything lies inside the package.
include(CMakePackageConfigHelpers)
set(_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/memoa)

install(TARGETS memoa EXPORT memoaTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/cpp/include/memoa
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT memoaTargets NAMESPACE memoa:: DESTINATION ${_config_dir})
configure_package_config_file(cpp/cmake/memoaConfig.cmake.in memoaConfig.cmake
  INSTALL_DESTINATION ${_config_dir})
write_basic_package_version_file(memoaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/memoaConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/memoaConfigVersion.cmake
  DESTINATION ${_config_dir})

if(NOT SKBUILD)  # a wheel moves, and has its licence beside its metadata
  # relative to the file itself, so that `cmake --install --prefix` may choose another place
  file(RELATIVE_PATH _pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  list(TRANSFORM CMAKE_CXX_IMPLICIT_LINK_LIBRARIES PREPEND -l OUTPUT_VARIABLE _pc_libraries)
  list(REMOVE_DUPLICATES _pc_libraries)
  list(JOIN _pc_libraries " " _pc_private)
  string(JOIN " " _pc_private ${OpenMP_CXX_FLAGS} ${_pc_private})
  configure_file(cpp/cmake/memoa.pc.in memoa.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/memoa.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  install(FILES ${CMAKE_CURRENT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
