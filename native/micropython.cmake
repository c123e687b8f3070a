# For MicroPython's CMake ports (esp32, rp2): USER_C_MODULES=<this file>.

file(GLOB TINYVLM_SOURCES ${CMAKE_CURRENT_LIST_DIR}/tv_*.c)

add_library(usermod_tinyvlm INTERFACE)
target_sources(usermod_tinyvlm INTERFACE
    ${TINYVLM_SOURCES}
    ${CMAKE_CURRENT_LIST_DIR}/modtinyvlm.c
    ${CMAKE_CURRENT_LIST_DIR}/modargs.c
)
target_include_directories(usermod_tinyvlm INTERFACE ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(usermod INTERFACE usermod_tinyvlm)

# Ports compile for size; the kernels are a few kilobytes and all of the time. What runs once a file
# or once a frame stays small. Nothing reads errno.
set_source_files_properties(${TINYVLM_SOURCES} PROPERTIES COMPILE_OPTIONS "-O2;-fno-math-errno")
foreach(name backend check check_plan error layer model region run)
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/tv_${name}.c PROPERTIES COMPILE_OPTIONS "-Os;-fno-math-errno")
endforeach()
