"""Rung `rpc-xmlrpc`: XML-RPC by xmlrpc.client and xmlrpc.server, over HTTP/1.1 kept alive.

A message is a call of `echo` with the payload as a Binary, which travels as base64 in XML. By
default both ends would compress a call of more than 1,400 bytes with gzip: that is off here, since
the time of a compressor isn't XML-RPC's.
"""

from collections.abc import Mapping

from ipcbench.transports.parts.sockets import Ends
from ipcbench.transports.stack.over import OverInet, OverInet6, OverUnix, Stacked


class Xmlrpc(Stacked):
    """Rung `rpc-xmlrpc`."""

    rung = "rpc-xmlrpc"
    layer = "XML-RPC: xmlrpc, base64 in XML"
    waits = "blocks in recv, through a buffered reader"
    copies = "more than ten times: base64, XML and bytes at both ends, and the kernel"
    source = "xmlrpc.com/spec.md; Python's library reference: xmlrpc"
    streams = False
    overlaps = False

    def ends(self) -> Ends:
        from ipcbench.transports.stack.xmlrpc import XmlrpcEnds

        return XmlrpcEnds(self.host_header)

    def system_limits(self) -> Mapping[str, str]:
        return {"body": "no limit at either end", **super().system_limits()}


class XmlrpcUnix(Xmlrpc, OverUnix):
    """Rung `rpc-xmlrpc` over AF_UNIX."""


class XmlrpcInet(Xmlrpc, OverInet):
    """Rung `rpc-xmlrpc` over AF_INET."""


class XmlrpcInet6(Xmlrpc, OverInet6):
    """Rung `rpc-xmlrpc` over AF_INET6."""
