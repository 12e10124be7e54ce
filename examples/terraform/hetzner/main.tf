# A server at Hetzner from a snapshot of Hull (docs/platforms/hetzner.md), with user data from a file.
#
#   export HCLOUD_TOKEN=…
#   terraform init && terraform apply -var snapshot=123456

terraform {
  required_version = ">= 1.3"
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.45"
    }
  }
}

variable "snapshot" {
  description = "Number of the snapshot"
  type        = string
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

resource "hcloud_ssh_key" "admin" {
  name       = "hull-admin"
  public_key = file(pathexpand(var.public_key))
}

resource "hcloud_server" "web" {
  name        = "web"
  server_type = "cx23"
  location    = "fsn1"
  image       = var.snapshot
  ssh_keys    = [hcloud_ssh_key.admin.id]
  user_data   = file(var.user_data)
}

output "ssh" {
  value = "ssh hull@${hcloud_server.web.ipv4_address}"
}
