# What an installation holds: headers, library, command, backends, data, and what pkg-config and find_package read. Paths in it are
# relative to where they stand, so that the whole can be moved.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/clgrad)
set(backend_dir ${CMAKE_INSTALL_LIBDIR}/clgrad-backends)

add_library(headers INTERFACE)
target_include_directories(headers INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS clgrad headers EXPORT clgrad LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT clgrad NAMESPACE clgrad:: FILE clgrad-targets.cmake DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/clgrad-config.cmake.in ${PROJECT_BINARY_DIR}/clgrad-config.cmake
    INSTALL_DESTINATION ${package_dir} PATH_VARS backend_dir)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/clgrad-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/clgrad-config.cmake ${PROJECT_BINARY_DIR}/clgrad-config-version.cmake
    DESTINATION ${package_dir})

file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/clgrad.pc.in ${PROJECT_BINARY_DIR}/clgrad.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/clgrad.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/clgrad DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY data/mnist DESTINATION ${CMAKE_INSTALL_DATADIR}/clgrad)
install(DIRECTORY DESTINATION ${backend_dir}) # also where no backend is built
