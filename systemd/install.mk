# install.mk - units, installation and the Debian package; included by the Makefile.
# Where the distribution keeps such files, pkg-config knows; the fallbacks are Debian's.
SBINDIR       ?= $(PREFIX)/sbin
MANDIR        ?= $(PREFIX)/share/man
DOCDIR        ?= $(PREFIX)/share/doc/chwsyncd
DATADIR       ?= $(PREFIX)/share/chwsyncd
SYSCONFDIR    ?= /etc
systemd_path   = $(or $(shell pkg-config --variable=$(1) systemd 2>/dev/null),$(2))
UNITDIR       ?= $(call systemd_path,systemdsystemunitdir,/lib/systemd/system)
SYSUSERSDIR   ?= $(call systemd_path,sysusersdir,/usr/lib/sysusers.d)
TMPFILESDIR   ?= $(call systemd_path,tmpfilesdir,/usr/lib/tmpfiles.d)
CATALOGDIR    ?= $(call systemd_path,catalogdir,/usr/lib/systemd/catalog)
COMPLETIONDIR ?= $(or $(shell pkg-config --variable=completionsdir bash-completion 2>/dev/null),/usr/share/bash-completion/completions)

UNITS := chwsyncd.service chwsyncd@.service
MADE_UNITS := $(UNITS:%=$(BUILD)/systemd/%)

.PHONY: units install uninstall deb FORCE
units: $(MADE_UNITS)
# Made anew each time, because SBINDIR may be another one than before.
$(MADE_UNITS): $(BUILD)/systemd/%: systemd/chwsyncd.service.in FORCE
	@mkdir -p $(@D)
	$(Q)systemd/make-unit $< '$*' $(SBINDIR) > '$@'
FORCE:

# SOURCE TARGET MODE of everything that is installed, one a line.
define INSTALLED
$(BUILD)/chwsyncd $(SBINDIR)/chwsyncd 755
$(BUILD)/systemd/chwsyncd.service $(UNITDIR)/chwsyncd.service 644
$(BUILD)/systemd/chwsyncd@.service $(UNITDIR)/chwsyncd@.service 644
systemd/chwsyncd.sysusers $(SYSUSERSDIR)/chwsyncd.conf 644
systemd/chwsyncd.tmpfiles $(TMPFILESDIR)/chwsyncd.conf 644
etc/chwsyncd.conf $(DOCDIR)/examples/chwsyncd.conf 644
README.md $(DOCDIR)/README.md 644
sql/sample-store.sql $(DOCDIR)/examples/sample-store.sql 644
sql/adapters/sample-store.sql $(DOCDIR)/examples/adapters/sample-store.sql 644
endef
export INSTALLED

# A configuration that is already there is left alone.
install: all units ## PREFIX, DESTDIR; then systemd-sysusers, systemd-tmpfiles --create, systemctl daemon-reload
	@echo "$$INSTALLED" | while read -r source target mode; do \
	    install -D -m "$$mode" "$$source" "$(DESTDIR)$$target" || exit 1; done
	@test -e $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf || \
	    install -D -m 644 etc/chwsyncd.conf $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf

uninstall: ## what install put there; a configuration that was changed stays
	@echo "$$INSTALLED" | while read -r source target mode; do rm -f "$(DESTDIR)$$target"; done
	@! cmp -s etc/chwsyncd.conf $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf || \
	    rm -f $(DESTDIR)$(SYSCONFDIR)/chwsyncd/chwsyncd.conf
	@rmdir $(DESTDIR)$(DOCDIR)/examples/adapters $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR) $(DESTDIR)$(DATADIR) \
	    $(DESTDIR)$(SYSCONFDIR)/chwsyncd 2>/dev/null || true
