# One layout for `cmake --install` and for the wheel, where everything lies inside the package.
include(CMakePackageConfigHelpers)
set(_config_dir share/cmake/memoa)

install(TARGETS memoa EXPORT memoaTargets ARCHIVE DESTINATION lib)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/cpp/include/memoa DESTINATION include)
install(EXPORT memoaTargets NAMESPACE memoa:: DESTINATION ${_config_dir})
configure_package_config_file(cpp/cmake/memoaConfig.cmake.in memoaConfig.cmake
  INSTALL_DESTINATION ${_config_dir})
write_basic_package_version_file(memoaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/memoaConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/memoaConfigVersion.cmake
  DESTINATION ${_config_dir})
