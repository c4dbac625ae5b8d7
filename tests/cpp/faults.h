// Faults on purpose, for executables that link faults.cpp: it replaces operator new and pthread_create.
#pragma once

namespace adasgn::testing {

// How many times operator new has been called.
long allocation_count();

// From now on the allocation, or the start of a thread, that comes after so many others fails, and no other.
void fail_allocation_after(long others);
void fail_thread_after(long others);
void fail_nothing();

}  // namespace adasgn::testing
