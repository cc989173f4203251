// Package part is a part of dsn.
package part
