# Interactive shells of all users.
case $- in *i*) ;; *) return ;; esac
shopt -s checkwinsize
PS1='\u@\h:\w\$ '
alias ls='ls --color=auto' ll='ls -l'
