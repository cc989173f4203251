// Package sqlite3 stands in for the driver.
package sqlite3
