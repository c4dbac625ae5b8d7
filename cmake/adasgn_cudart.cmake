# The static CUDA runtime, which is all that linking the CUDA engine takes: no nvcc, no toolkit around it. Read where the
# engine is built and, installed, by find_package. Sets adasgn_cudart_FOUND and, if found, makes adasgn_edge::cudart.
find_library(ADASGN_CUDART_LIBRARY NAMES libcudart_static.a
  HINTS ${ADASGN_CUDART_FOLDER} ENV CUDA_HOME ENV CUDA_PATH
  PATHS /usr/local/cuda
  PATH_SUFFIXES lib64 lib targets/${CMAKE_SYSTEM_PROCESSOR}-linux/lib
  DOC "libcudart_static.a of a CUDA toolkit")
mark_as_advanced(ADASGN_CUDART_LIBRARY)
if(ADASGN_CUDART_LIBRARY)
  set(adasgn_cudart_FOUND TRUE)
  if(NOT TARGET adasgn_edge::cudart)
    find_package(Threads REQUIRED)
    add_library(adasgn_edge::cudart STATIC IMPORTED)
    set_target_properties(adasgn_edge::cudart PROPERTIES
      IMPORTED_LOCATION "${ADASGN_CUDART_LIBRARY}"
      INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};rt")
  endif()
else()
  set(adasgn_cudart_FOUND FALSE)
endif()
