// Package transporttest is a sub-package.
package transporttest
