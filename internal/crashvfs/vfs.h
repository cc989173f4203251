#pragma once

#include <stdint.h>

// The operations that may fail, and how: Op and Fault of the package.
enum { OP_OPEN, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_DELETE, OP_MAP };
enum { FAULT_NONE, FAULT_IO, FAULT_FULL, FAULT_PARTLY };

// crashvfs_register registers a VFS that reports to the disk behind a handle.
// It returns NULL if SQLite is not linked in, or out of memory. The name must
// stay valid as long as the VFS.
void *crashvfs_register(const char *name, uintptr_t disk);

// crashvfs_unregister is the opposite. No file may be open.
void crashvfs_unregister(void *vfs);
