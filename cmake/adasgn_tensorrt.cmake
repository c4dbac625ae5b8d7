# The TensorRT plugin: whether it is built (ADASGN_TENSORRT), and its library libadasgn_tensorrt.so, which TensorRT loads
# (docs/tensorrt.md). It takes TensorRT's headers, nothing of its libraries. Where those are looked for is as in
# build_support/tensorrt.py.
set(adasgn_oldest_tensorrt 10.0)

# Sets `version` to what the headers in a folder say, "10.3.0", asked of the compiler; to nothing where there are none.
function(adasgn_tensorrt_version folder version)
  set(${version} "" PARENT_SCOPE)
  if(EXISTS "${folder}/NvInferRuntime.h" AND EXISTS "${folder}/NvInferVersion.h")
    set(source "${CMAKE_BINARY_DIR}/CMakeFiles/adasgn_tensorrt_version.cpp")
    file(WRITE "${source}" "#include <NvInferVersion.h>\nadasgn NV_TENSORRT_MAJOR NV_TENSORRT_MINOR NV_TENSORRT_PATCH\n")
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -E -P "-I${folder}" "${source}" OUTPUT_VARIABLE said ERROR_QUIET)
    if(said MATCHES "adasgn ([0-9]+) ([0-9]+) ([0-9]+)")
      set(${version} "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}.${CMAKE_MATCH_3}" PARENT_SCOPE)
    endif()
  endif()
endfunction()

string(TOUPPER "${ADASGN_TENSORRT}" adasgn_tensorrt)
set(adasgn_tensorrt_problem "")
set(adasgn_tensorrt_folder "")
if(NOT adasgn_tensorrt)
  set(adasgn_tensorrt_problem "ADASGN_TENSORRT is OFF")
elseif(NOT TARGET adasgn_edge_cuda)
  set(adasgn_tensorrt_problem "the CUDA engine, which it runs, is not built")
else()
  if(TENSORRT_INCLUDE)
    set(adasgn_tensorrt_folders ${TENSORRT_INCLUDE})
  elseif(NOT "$ENV{TENSORRT_INCLUDE}" STREQUAL "")
    set(adasgn_tensorrt_folders "$ENV{TENSORRT_INCLUDE}")
  elseif(NOT "$ENV{TENSORRT_ROOT}" STREQUAL "")
    set(adasgn_tensorrt_folders "$ENV{TENSORRT_ROOT}/include")
  else()
    set(adasgn_tensorrt_folders /usr/include/${CMAKE_SYSTEM_PROCESSOR}-linux-gnu /usr/include)
  endif()
  foreach(folder IN LISTS adasgn_tensorrt_folders)
    get_filename_component(folder "${folder}" ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
    if(NOT adasgn_tensorrt_folder)
      adasgn_tensorrt_version("${folder}" adasgn_tensorrt_found)
      if(adasgn_tensorrt_found)
        set(adasgn_tensorrt_folder "${folder}")
      endif()
    endif()
  endforeach()
  if(NOT adasgn_tensorrt_folder)
    string(REPLACE ";" ", " adasgn_tensorrt_folders "${adasgn_tensorrt_folders}")
    set(adasgn_tensorrt_problem "no TensorRT headers were found (NvInferRuntime.h in ${adasgn_tensorrt_folders})")
  elseif(adasgn_tensorrt_found VERSION_LESS adasgn_oldest_tensorrt)
    set(adasgn_tensorrt_problem "expected TensorRT ${adasgn_oldest_tensorrt} or newer, found ${adasgn_tensorrt_found}")
  endif()
endif()
if(adasgn_tensorrt_problem)
  if(adasgn_tensorrt AND NOT adasgn_tensorrt STREQUAL "AUTO")
    message(FATAL_ERROR "ADASGN_TENSORRT is ON, but ${adasgn_tensorrt_problem}; install TensorRT's headers (Debian, "
      "Ubuntu, JetPack: libnvinfer-dev), or name their folder with TENSORRT_INCLUDE")
  endif()
  message(STATUS "TensorRT plugin (ADASGN_TENSORRT): not built: ${adasgn_tensorrt_problem}")
  return()
endif()
message(STATUS "TensorRT plugin (ADASGN_TENSORRT): for TensorRT ${adasgn_tensorrt_found} (${adasgn_tensorrt_folder})")

file(GLOB adasgn_tensorrt_sources CONFIGURE_DEPENDS csrc/tensorrt/*.cpp)
add_library(adasgn_edge_tensorrt MODULE ${adasgn_tensorrt_sources})
set_target_properties(adasgn_edge_tensorrt PROPERTIES
  OUTPUT_NAME adasgn_tensorrt
  PREFIX lib
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  INSTALL_RPATH "$ORIGIN")
target_include_directories(adasgn_edge_tensorrt SYSTEM PRIVATE
  ${adasgn_tensorrt_folder} ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
target_link_libraries(adasgn_edge_tensorrt PRIVATE adasgn_edge_cuda)
# Of what is linked into it nothing is seen from outside, and nothing may be missing.
target_link_options(adasgn_edge_tensorrt PRIVATE
  -Wl,--no-undefined -Wl,--version-script=${PROJECT_SOURCE_DIR}/csrc/tensorrt/exports.map)
set_target_properties(adasgn_edge_tensorrt PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/csrc/tensorrt/exports.map)
