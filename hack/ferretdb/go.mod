// Pins FerretDB for build.sh, which builds it with its own requirements.
module strongroom.dev/strongroom/hack/ferretdb

go 1.27

require github.com/FerretDB/FerretDB v1.24.2
