# Verbs of this repository; `make help` lists them. What they do is in image-build/ and qemu-tests/.

USER_DATA = examples/web.yaml
FIRMWARE = uefi
MEMORY = 2048
PORTS =
NETWORK = isolated
FRESH =
MIRROR =
QUICK =
SECONDS = 60
CUTS ?= 1000
FORMATS =
SCENARIOS =
FAULTS =
KEY = build/keys
VERSION =
RELEASE = build/release
RELEASE_OPTIONS =

IMAGE = build/hull-x86_64.raw
BUILDER = MIRROR='$(MIRROR)' cargo run --quiet --release --package hull-image-build --
VM = cargo run --quiet --release --package hull-qemu-tests --bin

help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile
	@echo 'Variables: USER_DATA=file FIRMWARE=uefi|bios MEMORY=MiB PORTS=host:guest,… NETWORK=isolated|open FRESH=1 (run),'
	@echo '           QUICK=1 (image: compress less), MIRROR=… (packages), FORMATS=… (images), SCENARIOS="…" (vm-tests),'
	@echo '           KEY=folder of keys (image, release), VERSION=… RELEASE=folder RELEASE_OPTIONS="…" (release),'
	@echo '           SECONDS=60 a target (fuzz), CUTS=1000 SEED=number (test-power)'

run: setup image ## boot the image in QEMU on USER_DATA, console on this terminal
	$(VM) vm -- run --image $(IMAGE) --user-data '$(USER_DATA)' --firmware $(FIRMWARE) --memory $(MEMORY) \
	    --network $(NETWORK) --ports '$(PORTS)' $(if $(FRESH),--fresh)

image: setup ## build/hull-x86_64.raw, .qcow2 and image.json
	$(BUILDER) image --keys '$(KEY)' $(if $(QUICK),--quick)

images: image ## the image in the forms that platforms take, and build/images.json; FORMATS=qcow2,ova,… for some
	$(BUILDER) images $(if $(FORMATS),--formats '$(FORMATS)')

release: setup ## VERSION as a signed release below build/release/, for any web server; hosts with KEY in their image take it
	$(BUILDER) release --keys '$(KEY)' --version '$(VERSION)' --release-dir '$(RELEASE)' $(if $(QUICK),--quick) \
	    $(RELEASE_OPTIONS)

test-release: image ## the release 0.2.0 that VM tests update to, signed with the image's keys
	rm -rf build/next build/test-release
	$(BUILDER) release --keys '$(KEY)' --version 0.2.0 --output build/next --release-dir build/test-release $(if $(QUICK),--quick)

test: setup ## everything: host, root, image and VM tests
	@.ci/test

vm-tests: test-release ## VM tests; SCENARIOS="name …" for some of them
	$(VM) vm-tests -- $(SCENARIOS)

test-power: test-release ## power cut at CUTS random moments, from the first boot to a rollback; takes a night under emulation
	CUTS='$(CUTS)' $(VM) vm-tests -- power

test-images: images ## the image in every form boots on its platform's hardware, as far as QEMU has it; FORMATS=vhd,… for some
	FORMATS='$(or $(FORMATS),all)' $(VM) vm-tests -- images

test-faults: test-release ## every way an update can go wrong, on UEFI and on BIOS; FAULTS="name,…" for some of them
	FAULTS='$(or $(FAULTS),all)' $(VM) vm-tests -- faults-uefi faults-bios

test-delta: setup ## what an update fetches that changes OpenSSL and OpenSSH only
	$(BUILDER) check-delta --keys '$(KEY)' $(if $(QUICK),--quick)

fuzz: setup ## every fuzz target for SECONDS; what crashes one is kept in build/fuzz/
	@fuzz/run $(SECONDS)

bench: image ## boot times, memory and sizes beside a bare kernel with Docker
	$(VM) vm-bench

bench-runtime: setup ## start-to-exit times of hull-runtime beside crun, runc and the least a runtime can do; needs root
	cargo build --quiet --release --package hull-oci-runtime --bins --examples
	target/x86_64-unknown-linux-gnu/release/examples/bench_runtime build/bench-runtime.json

check: setup ## format, lints and documentation
	cargo fmt --check
	cargo clippy --quiet --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --quiet --workspace --no-deps --document-private-items
	$(BUILDER) check-config

setup: ## install what is missing on this machine, saying what and why
	@image-build/setup

update-packages: setup ## take newer Debian packages into the next image
	$(BUILDER) packages --refresh

clean: ## remove build/ but its keys, and target/; downloads and kernels stay in the cache
	test ! -d build || find build -mindepth 1 -maxdepth 1 ! -name keys -exec rm -rf {} +
	rm -rf target

.PHONY: help run image images test-release release test vm-tests test-power test-images test-faults test-delta fuzz bench bench-runtime check setup update-packages clean
