//go:build cgo && linux

#include "vfs.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

// What of SQLite's interface a VFS consists of (https://www.sqlite.org/vfs.html).
// SQLite promises that this layout does not change.

typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_vfs sqlite3_vfs;
typedef struct sqlite3_io_methods sqlite3_io_methods;

struct sqlite3_file {
	const sqlite3_io_methods *methods;
};

struct sqlite3_io_methods {
	int version;
	int (*close)(sqlite3_file *);
	int (*read)(sqlite3_file *, void *, int, int64_t);
	int (*write)(sqlite3_file *, const void *, int, int64_t);
	int (*truncate)(sqlite3_file *, int64_t);
	int (*sync)(sqlite3_file *, int);
	int (*size)(sqlite3_file *, int64_t *);
	int (*lock)(sqlite3_file *, int);
	int (*unlock)(sqlite3_file *, int);
	int (*reserved)(sqlite3_file *, int *);
	int (*control)(sqlite3_file *, int, void *);
	int (*sector_size)(sqlite3_file *);
	int (*characteristics)(sqlite3_file *);
	int (*shm_map)(sqlite3_file *, int, int, int, void volatile **);
	int (*shm_lock)(sqlite3_file *, int, int, int);
	void (*shm_barrier)(sqlite3_file *);
	int (*shm_unmap)(sqlite3_file *, int);
};

struct sqlite3_vfs {
	int version;
	int file_size;
	int longest_name;
	sqlite3_vfs *next;
	const char *name;
	void *data;
	int (*open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
	int (*delete)(sqlite3_vfs *, const char *, int);
	int (*access)(sqlite3_vfs *, const char *, int, int *);
	int (*full_name)(sqlite3_vfs *, const char *, int, char *);
	void *(*dl_open)(sqlite3_vfs *, const char *);
	void (*dl_error)(sqlite3_vfs *, int, char *);
	void (*(*dl_symbol)(sqlite3_vfs *, void *, const char *))(void);
	void (*dl_close)(sqlite3_vfs *, void *);
	int (*randomness)(sqlite3_vfs *, int, char *);
	int (*sleep)(sqlite3_vfs *, int);
	int (*time)(sqlite3_vfs *, double *);
	int (*last_error)(sqlite3_vfs *, int, char *);
	int (*time64)(sqlite3_vfs *, int64_t *);
};

enum {
	OK = 0,
	FULL = 13,
	CANNOT_OPEN = 14,
	IOERR_WRITE = 10 | 3 << 8,
	IOERR_FSYNC = 10 | 4 << 8,
	IOERR_TRUNCATE = 10 | 6 << 8,
	IOERR_DELETE = 10 | 10 << 8,
	IOERR_SHMSIZE = 10 | 19 << 8,
	OPEN_DATABASE = 0x100,
	OPEN_JOURNAL = 0x800,
	OPEN_LOG = 0x80000,
};

// The driver's package brings SQLite into the program. This one does not depend
// on it: weak symbols are NULL where nobody defines them.
extern sqlite3_vfs *sqlite3_vfs_find(const char *) __attribute__((weak));
extern int sqlite3_vfs_register(sqlite3_vfs *, int) __attribute__((weak));
extern int sqlite3_vfs_unregister(sqlite3_vfs *) __attribute__((weak));

typedef struct {
	sqlite3_vfs base;
	sqlite3_vfs *real;
	uintptr_t disk;
} crash_vfs;

// A crash_file is followed in memory by the real VFS's own file, which its last
// member keeps aligned.
typedef struct {
	sqlite3_file base;
	uintptr_t disk;
	int64_t id; // 0: not followed
} crash_file;

static sqlite3_vfs *real(sqlite3_vfs *v) { return ((crash_vfs *)v)->real; }

static sqlite3_file *under(sqlite3_file *f) { return (sqlite3_file *)((crash_file *)f + 1); }

// Files: what changes them is reported once it has worked. Before, the disk says
// whether it is to fail. An operation that fails partly is done as far as its
// fault says, which is reported too.

static int file_close(sqlite3_file *f) { return under(f)->methods->close(under(f)); }

static int file_read(sqlite3_file *f, void *to, int n, int64_t at) {
	return under(f)->methods->read(under(f), to, n, at);
}

static int file_write(sqlite3_file *f, const void *from, int n, int64_t at) {
	crash_file *c = (crash_file *)f;
	int fault = c->id == 0 ? FAULT_NONE : crashvfsFault(c->disk, OP_WRITE);
	int status;

	if (fault == FAULT_IO)
		return IOERR_WRITE;
	if (fault == FAULT_FULL || (fault == FAULT_PARTLY && (n /= 2) == 0))
		return FULL;
	status = under(f)->methods->write(under(f), from, n, at);
	if (status == OK && c->id != 0)
		crashvfsWrite(c->disk, c->id, (void *)from, n, at);
	return status == OK && fault == FAULT_PARTLY ? FULL : status;
}

static int file_truncate(sqlite3_file *f, int64_t size) {
	crash_file *c = (crash_file *)f;
	int fault = c->id == 0 ? FAULT_NONE : crashvfsFault(c->disk, OP_TRUNCATE);
	int status;

	if (fault == FAULT_IO || fault == FAULT_FULL)
		return IOERR_TRUNCATE;
	status = under(f)->methods->truncate(under(f), size);
	if (status == OK && c->id != 0)
		crashvfsTruncate(c->disk, c->id, size);
	return status == OK && fault == FAULT_PARTLY ? IOERR_TRUNCATE : status;
}

static int file_sync(sqlite3_file *f, int flags) {
	crash_file *c = (crash_file *)f;
	int fault = c->id == 0 ? FAULT_NONE : crashvfsFault(c->disk, OP_SYNC);
	int status;

	if (fault == FAULT_IO || fault == FAULT_FULL) {
		crashvfsDrop(c->disk, c->id);
		return IOERR_FSYNC;
	}
	status = under(f)->methods->sync(under(f), flags);
	if (status == OK && c->id != 0)
		crashvfsSync(c->disk, c->id);
	return status == OK && fault == FAULT_PARTLY ? IOERR_FSYNC : status;
}

static int file_size(sqlite3_file *f, int64_t *size) { return under(f)->methods->size(under(f), size); }

static int file_lock(sqlite3_file *f, int level) { return under(f)->methods->lock(under(f), level); }

static int file_unlock(sqlite3_file *f, int level) { return under(f)->methods->unlock(under(f), level); }

static int file_reserved(sqlite3_file *f, int *out) { return under(f)->methods->reserved(under(f), out); }

static int file_control(sqlite3_file *f, int op, void *arg) {
	return under(f)->methods->control(under(f), op, arg);
}

static int file_sector_size(sqlite3_file *f) { return under(f)->methods->sector_size(under(f)); }

static int file_characteristics(sqlite3_file *f) { return under(f)->methods->characteristics(under(f)); }

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
	crash_file *c = (crash_file *)f;

	if (extend && c->id != 0 && crashvfsFault(c->disk, OP_MAP) != FAULT_NONE)
		return IOERR_SHMSIZE;
	return under(f)->methods->shm_map(under(f), page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
	return under(f)->methods->shm_lock(under(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f) { under(f)->methods->shm_barrier(under(f)); }

static int file_shm_unmap(sqlite3_file *f, int remove) { return under(f)->methods->shm_unmap(under(f), remove); }

// Version 2 has shared memory for the log's index, and no mapping of files,
// whose writes nobody would see.
static const sqlite3_io_methods methods = {
	.version = 2,
	.close = file_close,
	.read = file_read,
	.write = file_write,
	.truncate = file_truncate,
	.sync = file_sync,
	.size = file_size,
	.lock = file_lock,
	.unlock = file_unlock,
	.reserved = file_reserved,
	.control = file_control,
	.sector_size = file_sector_size,
	.characteristics = file_characteristics,
	.shm_map = file_shm_map,
	.shm_lock = file_shm_lock,
	.shm_barrier = file_shm_barrier,
	.shm_unmap = file_shm_unmap,
};

static int follow(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags) {
	crash_file *c = (crash_file *)f;
	int64_t size;
	int status;

	c->disk = ((crash_vfs *)v)->disk;
	c->id = 0;
	if (name == NULL || (flags & (OPEN_DATABASE | OPEN_JOURNAL | OPEN_LOG)) == 0)
		return OK;
	if ((status = under(f)->methods->size(under(f), &size)) != OK)
		return status;
	c->id = crashvfsOpen(c->disk, (char *)name, size);
	return c->id == 0 ? CANNOT_OPEN : OK;
}

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) {
	int status;

	memset(f, 0, v->file_size);
	if (crashvfsFault(((crash_vfs *)v)->disk, OP_OPEN) != FAULT_NONE)
		return CANNOT_OPEN;
	status = real(v)->open(real(v), name, under(f), flags, out);
	if (status == OK)
		status = follow(v, name, f, flags);
	if (status == OK)
		f->methods = &methods;
	else if (under(f)->methods != NULL)
		under(f)->methods->close(under(f));
	return status;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync) {
	uintptr_t disk = ((crash_vfs *)v)->disk;
	int fault = crashvfsFault(disk, OP_DELETE);
	int status;

	if (fault == FAULT_IO || fault == FAULT_FULL)
		return IOERR_DELETE;
	status = real(v)->delete(real(v), name, sync);
	if (status == OK)
		crashvfsDelete(disk, (char *)name, sync);
	return status == OK && fault == FAULT_PARTLY ? IOERR_DELETE : status;
}

static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *out) {
	return real(v)->access(real(v), name, flags, out);
}

static int vfs_full_name(sqlite3_vfs *v, const char *name, int n, char *out) {
	return real(v)->full_name(real(v), name, n, out);
}

static void *vfs_dl_open(sqlite3_vfs *v, const char *name) { return real(v)->dl_open(real(v), name); }

static void vfs_dl_error(sqlite3_vfs *v, int n, char *out) { real(v)->dl_error(real(v), n, out); }

static void (*vfs_dl_symbol(sqlite3_vfs *v, void *library, const char *name))(void) {
	return real(v)->dl_symbol(real(v), library, name);
}

static void vfs_dl_close(sqlite3_vfs *v, void *library) { real(v)->dl_close(real(v), library); }

static int vfs_randomness(sqlite3_vfs *v, int n, char *out) { return real(v)->randomness(real(v), n, out); }

static int vfs_sleep(sqlite3_vfs *v, int microseconds) { return real(v)->sleep(real(v), microseconds); }

static int vfs_time(sqlite3_vfs *v, double *out) { return real(v)->time(real(v), out); }

static int vfs_last_error(sqlite3_vfs *v, int n, char *out) { return real(v)->last_error(real(v), n, out); }

static int vfs_time64(sqlite3_vfs *v, int64_t *out) { return real(v)->time64(real(v), out); }

void *crashvfs_register(const char *name, uintptr_t disk) {
	sqlite3_vfs *r;
	crash_vfs *v;

	if (sqlite3_vfs_find == NULL || (r = sqlite3_vfs_find(NULL)) == NULL || r->version < 2)
		return NULL;
	if ((v = calloc(1, sizeof *v)) == NULL)
		return NULL;
	v->real = r;
	v->disk = disk;
	v->base = (sqlite3_vfs){
		.version = 2,
		.file_size = (int)sizeof(crash_file) + r->file_size,
		.longest_name = r->longest_name,
		.name = name,
		.open = vfs_open,
		.delete = vfs_delete,
		.access = vfs_access,
		.full_name = vfs_full_name,
		.dl_open = vfs_dl_open,
		.dl_error = vfs_dl_error,
		.dl_symbol = vfs_dl_symbol,
		.dl_close = vfs_dl_close,
		.randomness = vfs_randomness,
		.sleep = vfs_sleep,
		.time = vfs_time,
		.last_error = vfs_last_error,
		.time64 = vfs_time64,
	};
	if (sqlite3_vfs_register(&v->base, 0) != OK) {
		free(v);
		return NULL;
	}
	return v;
}

void crashvfs_unregister(void *vfs) {
	sqlite3_vfs_unregister(vfs);
	free(vfs);
}
