#include "fiber.h"

#include <cstdint>

#if EMU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if EMU_SWITCH_X86
// Saves the registers that a callee must keep and the stack pointer, and loads those of the other side.
asm(R"(.text
.p2align 4
.globl pcnbench_emu_switch
.hidden pcnbench_emu_switch
.type pcnbench_emu_switch,@function
pcnbench_emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pcnbench_emu_switch,.-pcnbench_emu_switch
)");
extern "C" void pcnbench_emu_switch(void** save, void* load);
#endif

namespace emu {

void prepare(Context& context, void* bottom, size_t size, void (*entry)()) {
#if EMU_ASAN
  // A fiber that was given up never unwound, and left its red zones behind.
  __asan_unpoison_memory_region(bottom, size);
#endif
  context.bottom = bottom;
  context.size = size;
  context.fake_stack = nullptr;
#if EMU_SWITCH_X86
  auto top = (reinterpret_cast<uintptr_t>(bottom) + size) & ~uintptr_t(15);
  auto* at = reinterpret_cast<void**>(top);
  *--at = nullptr;  // where a return address would be: the stack is then as a call leaves it
  *--at = reinterpret_cast<void*>(entry);
  for (int registers = 0; registers < 6; ++registers) *--at = nullptr;
  context.stack_pointer = at;
#else
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = bottom;
  context.state.uc_stack.ss_size = size;
  context.state.uc_link = nullptr;
  makecontext(&context.state, entry, 0);
#endif
}

void jump(Context& from, Context& to, bool from_ends) {
#if EMU_ASAN
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.fake_stack, to.bottom, to.size);
#else
  (void)from_ends;
#endif
#if EMU_SWITCH_X86
  pcnbench_emu_switch(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.state, &to.state);
#endif
#if EMU_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void arrived(Context& scheduler) {
#if EMU_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &scheduler.bottom, &scheduler.size);
#else
  (void)scheduler;
#endif
}

}  // namespace emu
