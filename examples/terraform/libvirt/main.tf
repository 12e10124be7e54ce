# A virtual machine on libvirt from the qcow2 image, with user data on a NoCloud volume.
#
#   terraform init && terraform apply

terraform {
  required_version = ">= 1.3"
  required_providers {
    libvirt = {
      source  = "dmacvicar/libvirt"
      version = "~> 0.8.0"
    }
  }
}

provider "libvirt" {
  uri = "qemu:///system"
}

variable "name" {
  description = "Name of the machine, its instance-id and its hostname"
  type        = string
  default     = "web"
}

variable "image" {
  description = "The image that make images has made"
  type        = string
  default     = "../../../build/hull-x86_64.qcow2"
}

variable "public_key" {
  description = "File with the public key for the user hull"
  type        = string
  default     = "~/.ssh/id_ed25519.pub"
}

variable "user_data" {
  description = "File with user data; hull config validate checks it"
  type        = string
  default     = "../../web.yaml"
}

resource "libvirt_volume" "image" {
  name   = "hull-x86_64.qcow2"
  pool   = "default"
  source = var.image
  format = "qcow2"
}

# The first boot takes what is behind the image for containers and logs.
resource "libvirt_volume" "disk" {
  name           = "${var.name}.qcow2"
  pool           = "default"
  base_volume_id = libvirt_volume.image.id
  size           = 20 * 1024 * 1024 * 1024
}

resource "libvirt_cloudinit_disk" "seed" {
  name      = "${var.name}-seed.iso"
  pool      = "default"
  user_data = file(var.user_data)
  meta_data = yamlencode({
    instance-id    = var.name
    local-hostname = var.name
    public-keys    = [trimspace(file(pathexpand(var.public_key)))]
  })
}

resource "libvirt_domain" "web" {
  name      = var.name
  memory    = 2048
  vcpu      = 2
  cloudinit = libvirt_cloudinit_disk.seed.id

  cpu {
    mode = "host-passthrough"
  }

  disk {
    volume_id = libvirt_volume.disk.id
  }

  network_interface {
    network_name   = "default"
    wait_for_lease = true
  }

  console {
    type        = "pty"
    target_type = "serial"
    target_port = "0"
  }
}

output "ssh" {
  value = "ssh hull@${libvirt_domain.web.network_interface[0].addresses[0]}"
}
